"""What goes wrong around a node in the field, done to the running node: it answers, counts, and goes on."""

import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

import numpy
import rclpy
from node_client import MODEL, MONITOR, ROOT, Client, NodeProcess, compressed, png, raw_image, region, stop_sign
from sensor_msgs.msg import CompressedImage, Image

HOUR_SECS = 3600
# A camera driver as a process of its own, so that it can be killed.
DRIVER = """
import sys, time, rclpy
sys.path.insert(0, sys.argv[1])
from node_client import raw_image, stop_sign
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("driver")
publisher = node.create_publisher(Image, "/camera", 10)
for index in range(2000):
    message = raw_image(stop_sign())
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)
    time.sleep(0.05)
"""


def setUpModule():
    rclpy.init()


def tearDownModule():
    rclpy.shutdown()


class WithNode(unittest.TestCase):
    image_type = Image

    def run_node(self, **parameters):
        self.process = NodeProcess(**parameters)
        self.addCleanup(self.process.kill)
        self.client = Client(self.image_type)
        self.addCleanup(self.client.close)
        self.client.wait_for(self.process)

    def assert_goes_on(self, message=None):
        """A good image is still classified."""
        classified, _ = self.client.ask(message or raw_image(stop_sign()))
        self.assertEqual(classified.results[0].class_name, "stop")


class Publishers(WithNode):
    def start_driver(self):
        command = [sys.executable, "-c", DRIVER, str(ROOT / "tests")]
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(driver.wait)
        self.addCleanup(driver.kill)
        return driver

    def test_a_driver_that_is_killed_and_started_again(self):
        self.run_node(stale_after_secs=1.0, diagnostics_period_secs=0.2)
        for _ in range(2):
            driver = self.start_driver()
            judged = len(self.client.judged)
            self.client.spin_until(lambda judged=judged: len(self.client.judged) > judged + 5, 30.0, "answers")
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            self.client.spin_until(lambda: self.client.statuses["camera"].level == b"\x03", what="the silence")


class NodeKilled(WithNode):
    def test_a_node_that_is_killed_leaves_nothing_behind_that_stops_the_next_one(self):
        for _ in range(2):
            self.run_node()
            self.assert_goes_on()
            self.process.process.send_signal(signal.SIGKILL)
            self.process.process.wait()


class Files(WithNode):
    def test_model_and_monitor_may_be_overwritten_while_the_node_drives(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            model, monitor = folder / "model", folder / "copy.monitor"
            shutil.copytree(MODEL, model)
            shutil.copy(MONITOR, monitor)
            self.run_node(model=model, monitor=monitor)
            _, before = self.client.ask(raw_image(stop_sign()))
            for path in (monitor, model / "model.pt", model / "model.json"):
                with open(path, "r+b") as file:
                    file.write(b"\0" * 4096)
                    file.truncate(8192)
            _, after = self.client.ask(raw_image(stop_sign()))
            self.assertEqual(after.results, before.results)


class Clocks(WithNode):
    def test_a_clock_that_goes_back_an_hour(self):
        self.run_node()
        start = 2 * HOUR_SECS
        for sec in range(start, start + 5):
            self.client.ask(raw_image(stop_sign()), stamp=(sec, 0))
        for sec in range(start - HOUR_SECS, start - HOUR_SECS + 5):
            self.client.ask(raw_image(stop_sign()), stamp=(sec, 0))
        self.client.spin_until(lambda: self.client.count("time_jumps") >= 1, what="the counted jump")

    def test_stamps_at_the_ends_of_time(self):
        self.run_node()
        for stamp in ((2**31 - 1, 999_999_999), (-(2**31), 0), (0, 0), (0, 2**32 - 1), (7, 7)):
            self.client.ask(raw_image(stop_sign()), stamp=stamp)


class ManyRegions(WithNode):
    def test_ten_thousand_regions(self):
        self.run_node(regions_topic="/regions")
        regions = [region(str(index), index % 40, index % 37, 20, 20) for index in range(10_000)]
        start = time.monotonic()
        _, judged = self.client.ask(raw_image(stop_sign()), regions)
        self.assertLess(time.monotonic() - start, 10.0)
        self.assertEqual([result.region.id for result in judged.results], [entry.id for entry in regions])
        verdicts = [result.verdict for result in judged.results]
        self.assertTrue(all(verdicts[:64]), "judged")
        self.assertFalse(any(verdicts[64:]), "over the limit")
        self.assertIn("max_regions", judged.results[-1].reason)
        self.client.ask(raw_image(stop_sign()), [region("sign", 0, 0, 64, 64)])


class HostileImages(WithNode):
    image_type = CompressedImage

    def test_bombs_and_rubbish(self):
        self.run_node(image_transport="compressed", max_image_pixels=1_000_000)
        large = png(numpy.zeros((1001, 1000, 3), numpy.uint8))
        for data in (large, bomb(60_000, 60_000), bomb(2**31 - 1, 1), *rubbish()):
            _, judged = self.client.ask(compressed(data, "png"))
            self.assertEqual(judged.results[0].verdict, 0)
            self.assertTrue(judged.results[0].reason)
        self.assert_goes_on(compressed(png(stop_sign()), "png"))
        self.assertLess(resident_mib(self.process.process.pid), 1500)


def bomb(width, height):
    """A PNG that claims a size and holds zeros as compressed data."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 10_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def rubbish():
    """Good files with wrong bytes, and no files at all."""
    random = numpy.random.default_rng(7)
    whole = png(stop_sign())
    yield whole[: len(whole) // 2]
    yield b"\xff\xd8\xff\xd9"
    yield b"\xff\xd8" + bytes(random.integers(0, 256, 5000, numpy.uint8))
    for _ in range(5):
        yield bytes(random.integers(0, 256, 1000, numpy.uint8))


def resident_mib(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    unittest.main()
