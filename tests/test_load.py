"""The load test, briefly: what it says must add up. How fast the node is is no matter of a test."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

import numpy
import rclpy
from node_client import RELEASE, ROOT
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image

LOAD_TEST = ROOT / "tools/load_test"
QUANTILES = {"p50", "p95", "p99", "max"}


def setUpModule():
    """Whatever is to be built is built before anything has a deadline."""
    subprocess.run([LOAD_TEST, "--help"], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)


def start(*arguments, **options):
    command = [str(LOAD_TEST), *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, **options)


def children(parent):
    """Process ids of the children of a process."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


class LoadTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / "figures.json"

    def measure(self, *arguments):
        process = start("--json", self.file, *arguments, stdout=subprocess.DEVNULL)
        _, printed = process.communicate(timeout=240)
        self.assertEqual(process.returncode, 0, printed)
        return json.loads(self.file.read_text())

    def assert_accounted(self, trial):
        """Every image was answered or is counted as lost on its way or as dropped, and both sides say the same."""
        counted = trial["counted"]
        self.assertEqual(trial["published"], trial["answered"] + counted["dropped"] + counted["lost_before_node"], trial)
        self.assertEqual((counted["received"], counted["judged"]), (trial["answered"] + counted["dropped"], trial["answered"]))
        self.assertEqual((trial["classified"], trial["unknown"]), (trial["answered"], 0))

    def test_one_camera(self):
        figures = self.measure("--duration-secs", 10, "--warmup-secs", 2)
        self.assertGreater(figures["machine"]["cores"], 0)
        self.assertTrue(figures["machine"]["cpu"] and figures["versions"]["activation_monitor"])
        self.assertIsNone(figures["node_to_peer"])
        (row,) = figures["rows"]
        self.assertEqual((row["subject"], row["duration_secs"]), ("monitor_node", 10.0))
        self.assertEqual((row["unavailable"], row["failure"]), (None, None))
        self.assertEqual((row["scenario"]["width"], row["scenario"]["encoding"]), (1280, "rgb8"))
        (trial,) = row["trials"]
        self.assertEqual(trial["published"], 300)
        self.assertGreater(trial["answered"], 0)
        self.assert_accounted(trial)
        for name in ("stamp_to_answer_ms", "publisher_late_ms", "publishing_ms"):
            self.assertEqual(set(trial[name]), QUANTILES, name)
        quantiles = trial["stamp_to_answer_ms"]
        self.assertLessEqual(0.0, quantiles["p50"])
        self.assertLessEqual(quantiles["p50"], quantiles["p99"])
        self.assertGreater(trial["cpu_ms_per_image"], 0.0)
        self.assertGreaterEqual(len(trial["memory"]["samples"]), 10)
        self.assertGreater(trial["memory"]["end_mib"], 50.0)
        self.assertIsNone(trial["memory"]["at_60_secs_mib"])
        self.assertEqual(row["median"]["stamp_to_answer_p50_ms"]["median"], quantiles["p50"])

    def test_several_cameras_with_regions_of_jpegs(self):
        table = json.loads(subprocess.check_output([RELEASE / "monitor_node", "--describe", "json"]))
        known = any(row["name"] == "cameras" for row in table)
        arguments = "--cameras 2 --regions 3 --compressed --width 640 --height 480 --rate-hz 10 --duration-secs 3 --reliable"
        (row,) = self.measure(*arguments.split())["rows"]
        self.assertEqual(row["unavailable"] is None, known, row["unavailable"])
        self.assertEqual(len(row["trials"]), int(known))
        for trial in row["trials"]:
            self.assertEqual(trial["published"], 60)
            self.assert_accounted(trial)

    def test_what_recording_costs(self):
        arguments = "--recorder --width 640 --height 480 --duration-secs 4 --warmup-secs 1 --repetitions 1"
        figures = self.measure(*arguments.split())
        self.assertEqual([row["subject"] for row in figures["rows"]], ["monitor_node", "monitor_recording"])
        for row in figures["rows"]:
            self.assertEqual((row["scenario"]["compressed"], row["scenario"]["rate_hz"]), (True, 10.0))
            self.assertIsNone(row["failure"], "an event was recorded, or it was not asked for")
            self.assert_accounted(row["trials"][0])
        self.assertGreater(figures["recording_to_not"]["stamp_to_answer_p99_ms"]["median"], 0.0)
        self.assertIsInstance(figures["recorder_percent_of_a_core"], float)

    def test_ctrl_c_ends_the_node_too(self):
        process = start("--duration-secs", 60)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        deadline = time.monotonic() + 60
        nodes = []
        while not nodes and time.monotonic() < deadline:
            time.sleep(0.2)
            executable = pathlib.Path(os.readlink(f"/proc/{process.pid}/exe")).name
            nodes = children(process.pid) if executable == "load_test" else []
        self.assertEqual(len(nodes), 1)
        process.send_signal(signal.SIGINT)
        self.assertNotEqual(process.wait(30), 0)
        self.assertIn("interrupted", process.stderr.read())
        self.assertFalse(pathlib.Path(f"/proc/{nodes[0]}").exists())

    def test_wrong_options_are_said(self):
        process = start("--rate-hz", "0")
        _, printed = process.communicate(timeout=60)
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("expected 0.1 to 1000", printed)


class Camera(unittest.TestCase):
    """--publish-only, with one drawn image in every encoding."""

    SIZE = (160, 120)

    @classmethod
    def setUpClass(cls):
        rclpy.init()
        cls.node = rclpy.create_node("listener")

    @classmethod
    def tearDownClass(cls):
        cls.node.destroy_node()
        rclpy.shutdown()

    def film(self, message_type, *arguments):
        """The second image that arrives, and the one before."""
        topic = f"/filmed_{time.monotonic_ns()}"
        messages = []
        subscription = self.node.create_subscription(message_type, topic, messages.append, qos_profile_sensor_data)
        width, height = self.SIZE
        process = start("--publish-only", "--topic", topic, "--width", width, "--height", height, "--frames", 1, *arguments)
        try:
            deadline = time.monotonic() + 60
            while len(messages) < 2 and time.monotonic() < deadline and process.poll() is None:
                rclpy.spin_once(self.node, timeout_sec=0.1)
            process.send_signal(signal.SIGINT)
            _, printed = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 0, printed)
        finally:
            process.kill()
            process.wait()
            self.node.destroy_subscription(subscription)
        self.assertGreaterEqual(len(messages), 2, printed)
        stamps = [message.header.stamp.sec + message.header.stamp.nanosec / 1e9 for message in messages[:2]]
        self.assertLess(stamps[0], stamps[1])
        self.assertLess(abs(stamps[1] - time.time()), 60)
        return messages[1]

    def raw(self, encoding):
        message = self.film(Image, "--encoding", encoding)
        self.assertEqual((message.encoding, (message.width, message.height)), (encoding, self.SIZE))
        return message, numpy.frombuffer(message.data, numpy.uint8)

    def test_encodings_show_the_same_image(self):
        width, height = self.SIZE
        message, data = self.raw("rgb8")
        self.assertEqual(message.step, 3 * width)
        red, green, blue = rgb = data.reshape(height, width, 3).transpose(2, 0, 1).astype(float)
        luma = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
        self.assertGreater(luma.std(), 10)

        message, data = self.raw("bgr8")
        numpy.testing.assert_array_equal(data.reshape(height, width, 3)[:, :, ::-1], rgb.transpose(1, 2, 0))
        message, data = self.raw("yuv422_yuy2")
        self.assertEqual(message.step, 2 * width)
        self.assertLess(abs(data.reshape(height, width, 2)[:, :, 0] - luma).max(), 1)
        message, data = self.raw("nv12")
        self.assertEqual((message.step, data.size), (width, width * height * 3 // 2))
        self.assertLess(abs(data[: width * height].reshape(height, width) - luma).max(), 1)
        u = data[width * height :].reshape(height // 2, width // 2, 2)[:, :, 0]
        self.assertLess(abs(u - (128 - 0.148 * red - 0.291 * green + 0.439 * blue)[::2, ::2]).max(), 1)
        message, data = self.raw("bayer_rggb8")
        mosaic = data.reshape(height, width)
        for (row, column), channel in {(0, 0): red, (0, 1): green, (1, 0): green, (1, 1): blue}.items():
            numpy.testing.assert_array_equal(mosaic[row::2, column::2], channel[row::2, column::2])

    def test_jpeg(self):
        message = self.film(CompressedImage, "--compressed")
        self.assertIn("jpeg", message.format)
        self.assertEqual(bytes(message.data[:2]), b"\xff\xd8")


if __name__ == "__main__":
    unittest.main()
