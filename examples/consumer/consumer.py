"""Believes a sign that was in distribution in three answers in a row, while the answers are fresh and in order."""

import rclpy
from activation_monitor.msg import OodConfidence, OodConfidenceArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

IN_A_ROW = 3  # one verdict alone may be a false one
RESTART = Duration(seconds=1)  # stamps that are so much older are those of a bag that begins again


class Consumer(Node):
    def __init__(self):
        super().__init__("consumer")
        self.max_age = Duration(seconds=self.declare_parameter("max_age_secs", 0.5).value)
        self.newest, self.silent, self.times = self.get_clock().now(), False, {}
        self.create_subscription(OodConfidenceArray, "/monitor/ood", self.on_answer, 10)
        self.create_timer(0.1, self.on_timer)

    def on_answer(self, message):
        stamp = Time.from_msg(message.header.stamp)
        if self.get_clock().now() - stamp > self.max_age:
            return  # too late to act on
        if Duration() <= self.newest - stamp < RESTART:
            return  # overtaken by a newer one, or said twice
        self.newest = stamp
        self.times = dict(self.count(result) for result in message.results)  # what is not there any more begins afresh

    def count(self, result):
        sign = (result.region.id, result.predicted_class_name)
        believable = result.verdict == OodConfidence.IN_DISTRIBUTION  # nothing else, UNKNOWN included
        times = self.times.get(sign, 0) + 1 if believable else 0
        if times == IN_A_ROW:
            self.get_logger().info(f"believed: {result.predicted_class_name}")
        return sign, times

    def on_timer(self):
        silent = self.get_clock().now() - self.newest > self.max_age
        if silent and not self.silent:
            self.get_logger().warn("no fresh answer: nothing is believed")
            self.times = {}
        self.silent = silent


rclpy.init()
rclpy.spin(Consumer())
