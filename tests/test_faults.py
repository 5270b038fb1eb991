"""What goes wrong around a node in the field, done to the running node: it answers, counts, and goes on."""

import math
import pathlib
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

import faulty_model
import numpy
from activation_monitor.msg import OodConfidence
from node_case import OwnNode, setUpModule, tearDownModule
from node_client import RELEASE, ROOT, compressed, png, png_file, raw_image, region, stop_sign
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


class WithNode(OwnNode):
    def run_node(self, **parameters):
        super().run_node(**parameters).wait_for(self.process)

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


def jpeg_bomb():
    """The start of a JPEG of 65,500 by 65,500 pixels."""
    frame = struct.pack(">BHHB", 8, 65500, 65500, 3) + bytes([1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1])
    quantisation = bytes([0]) + bytes([16] * 64)
    scan = bytes([3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0])
    segments = ((0xDB, quantisation), (0xC0, frame), (0xDA, scan))
    parts = (bytes([0xFF, kind]) + struct.pack(">H", len(body) + 2) + body for kind, body in segments)
    return b"\xff\xd8" + b"".join(parts) + bytes(4096)


def largest_memory_mib(process):
    """The most memory that the process ever had, in MiB."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


class HostileCompressedImages(WithNode):
    image_type = CompressedImage

    def test_bombs_are_not_decoded(self):
        self.run_node(image_transport="compressed", max_image_pixels=1_000_000)
        self.assert_goes_on(compressed(png(stop_sign()), "png"))
        before = largest_memory_mib(self.process.process)
        black = bytes(20_001 * 10_000)  # a megabyte when compressed
        for bomb in (png_file(20_000, 10_000, black), jpeg_bomb()):
            _, judged = self.client.ask(compressed(bomb))
            self.assertEqual(judged.results[0].verdict, OodConfidence.UNKNOWN)
            self.assertIn("at most 1000000 are decoded", judged.results[0].reason)
        self.assertLess(largest_memory_mib(self.process.process) - before, 64)
        self.assert_goes_on(compressed(png(stop_sign()), "png"))

    def test_rubbish_is_unknown(self):
        self.run_node(image_transport="compressed")
        chance = random.Random(12)
        good = png(stop_sign())
        for turn in range(200):
            damaged = bytearray(good)
            for _ in range(1 + turn % 7):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            data = (bytes(damaged), bytes(damaged[: chance.randrange(len(damaged))]), chance.randbytes(999))[turn % 3]
            _, judged = self.client.ask(compressed(data, chance.choice(["png", "jpeg", "", "\u00e9\u4e16", "; ;"])))
            self.assertEqual(len(judged.results), 1)
            if turn % 3:
                self.assertTrue(judged.results[0].reason)
        self.assert_goes_on(compressed(good, "png"))


class HostileRawImages(WithNode):
    def test_claims_that_do_not_fit_are_unknown(self):
        self.run_node()
        chance = random.Random(12)
        sizes = [0, 1, 3, 64, 65535, 2**31 - 1, 2**32 - 1]
        for _ in range(200):
            encoding = chance.choice(["rgb8", "mono16", "nv12", "yuv422", "bayer_rggb16", "bgra8", "32FC1", "", "x" * 999])
            height, width, step = (chance.choice(sizes) for _ in range(3))
            message = Image(height=height, width=width, step=step, encoding=encoding, data=chance.randbytes(999))
            _, judged = self.client.ask(message)
            self.assertEqual(judged.results[0].verdict, OodConfidence.UNKNOWN)
            self.assertTrue(judged.results[0].reason)
        self.assert_goes_on()


NAN_ON_WHITE = """
if bool(torch.gt(torch.mean(images), 0.9)):
  images = torch.div(torch.sub(images, images), torch.sub(images, images))
else:
  pass
"""


class NotANumber(WithNode):
    def fit(self):
        """A model whose activations are NaN for white images, and its monitor."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        folder, shades = pathlib.Path(folder.name), numpy.random.default_rng(12)
        model = folder / "model"
        model.mkdir()
        faulty_model.write(model, NAN_ON_WHITE)
        for name, least in zip(faulty_model.CLASSES, (20, 150)):
            (folder / "images" / name).mkdir(parents=True)
            for index in range(60):
                shade = shades.integers(least, least + 60)
                pixels = numpy.clip(shades.normal(shade, 5, (8, 8, 3)), 0, 229).astype(numpy.uint8)
                (folder / "images" / name / f"{index}.png").write_bytes(png(pixels))
        command = [RELEASE / "activation-monitor", "fit", "--model", model, "--data", folder / "images"]
        command += ["--output", folder / "faulty.monitor", "--device", "cpu", "--detectors", "gaussian_diag,msp"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return {"model": model, "monitor": folder / "faulty.monitor"}

    def test_activations_that_are_no_numbers_are_unknown(self):
        self.run_node(**self.fit())
        grey, white = (numpy.full((8, 8, 3), shade, numpy.uint8) for shade in (50, 255))
        _, before = self.client.ask(raw_image(grey))
        _, strange = self.client.ask(raw_image(white))
        _, after = self.client.ask(raw_image(grey))
        self.assertEqual(strange.results[0].verdict, OodConfidence.UNKNOWN)
        self.assertRegex(strange.results[0].reason, "not finite|NaN")
        for judged in (before, after):
            self.assertNotEqual(judged.results[0].verdict, OodConfidence.UNKNOWN, judged.results[0].reason)
            self.assertTrue(math.isfinite(judged.results[0].p_value))


class ThrowingModel(WithNode):
    def test_a_region_that_the_network_cannot_bear_leaves_the_others_alone(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        model = faulty_model.write(folder.name, faulty_model.THROWS_ON_WHITE)
        self.run_node(model=model, monitor="", regions_topic="/regions", regions_timeout_secs=5.0)
        pixels = numpy.zeros((8, 16, 3), numpy.uint8)
        pixels[:, 8:] = 255
        halves = [region("dark", 0, 0, 8, 8), region("white", 8, 0, 8, 8)]
        classified, judged = self.client.ask(raw_image(pixels), regions=halves)
        dark, white = classified.results
        self.assertEqual((dark.class_name, white.class_name), ("dark", ""))
        self.assertIn("shape", judged.results[1].reason)


if __name__ == "__main__":
    unittest.main()
