"""What goes wrong around a node in the field, done to the running node: it answers, counts, and goes on."""

import signal
import subprocess
import sys
import unittest

import rclpy
from node_client import ROOT, Client, NodeProcess, raw_image, stop_sign
from sensor_msgs.msg import Image

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


if __name__ == "__main__":
    unittest.main()
