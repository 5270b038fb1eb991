"""Stamps as cameras, bags and clocks make them, seen from outside: old, of the future, equal, jumping, of two clocks.

What takes long (0.1 Hz) or must be exact (120 Hz) is checked on a clock of its own by the Rust tests of src/node/input.
"""

import time
import unittest

import numpy
from activation_monitor.msg import OodConfidence
from builtin_interfaces.msg import Time
from node_case import OwnNode, setUpModule, tearDownModule
from node_client import at, raw_image, stop_sign
from rosgraph_msgs.msg import Clock

STOP = "stop"


class WithNode(OwnNode):
    parameters = {}

    def setUp(self):
        self.run_node(diagnostics_period_secs=0.2, **self.parameters).wait_for(self.process, probe=False)

    def send(self, secs):
        return self.client.send(raw_image(stop_sign()), at(secs))

    def ask(self, secs):
        """Class name and reason of an answer."""
        classified, judged = self.client.ask(raw_image(stop_sign()), stamp=at(secs))
        return classified.results[0].class_name, judged.results[0].reason


class Ages(WithNode):
    def test_images_that_are_too_old_are_unknown_and_the_others_are_judged(self):
        self.assertEqual(self.ask(time.time() - 4.9), (STOP, ""), "without a limit any age is judged")
        self.client.set_parameters(max_image_age_secs=2.0)
        stamp = at(time.time() - 4.9)
        _, judged = self.client.ask(raw_image(stop_sign()), stamp=stamp)
        self.assertEqual(judged.results[0].verdict, OodConfidence.UNKNOWN)
        self.assertRegex(judged.results[0].reason, r"^image (4\.9|5\.\d) s old .* max_image_age_secs is 2$")
        self.client.counted("stale", 1)
        self.assertGreater(float(self.client.value("camera", "stamp_age_at_arrival_secs")), 4.8)
        counted = lambda: "image too old: 1" in self.client.value("camera", "unknown_reasons")
        self.client.spin_until(counted, what="the counted reason")
        self.assertEqual(self.ask(time.time()), (STOP, ""))
        self.assertEqual(self.ask(time.time() + 3600.0), (STOP, ""))
        self.client.counted("future_stamps", 1)
        self.client.all_accounted_for(4)

    def test_equal_stamps_are_counted_and_judged(self):
        for _ in range(30):
            self.send(1000.0)
            self.client.spin_for(0.03)
        self.client.counted("repeated_stamps", 29)
        self.client.all_accounted_for(30)

    def test_an_image_that_stays_the_same_with_new_stamps_is_a_frozen_camera(self):
        self.client.set_parameters(stale_after_secs=1.0)
        frozen = lambda: "the same image, byte for byte" in self.client.statuses["camera"].message
        for _ in range(60):
            self.send(time.time())
            self.client.spin_for(0.03)
        self.client.spin_until(frozen, what="the warning")
        self.client.counted("repeated_images", 59)
        pixels = stop_sign()
        pixels[0, 0, 0] ^= 1
        self.client.ask(raw_image(pixels), stamp=at(time.time()))
        self.client.spin_until(lambda: not frozen(), what="the end of the warning")
        self.assertEqual(self.client.count("repeated_images"), 59)


class Rates(WithNode):
    def test_images_lost_on_the_way_are_counted(self):
        for index in [*range(20), *range(25, 40)]:
            self.send(1000.0 + index * 0.05)
            self.client.spin_for(0.02)
        self.client.counted("gaps", 1)
        self.assertEqual((self.client.count("gaps"), self.client.count("missing_images")), (1, 5))

    def test_a_camera_may_vanish_and_come_back_with_another_size(self):
        self.assertEqual(self.ask(1000.0), (STOP, ""))
        self.client.node.destroy_publisher(self.client.images)
        self.client.spin_for(1.0)
        self.client.images = self.client.node.create_publisher(self.client.image_type, "/camera", 10)
        self.client.spin_until(lambda: self.client.images.get_subscription_count() > 0, what="the new publisher's match")
        self.client.spin_for(0.5)
        for size in (2, 1, 3):
            large = numpy.repeat(numpy.repeat(stop_sign(), size, axis=0), size, axis=1)
            classified, _ = self.client.ask(raw_image(large))
            self.assertEqual(classified.results[0].class_name, STOP)
        self.client.all_accounted_for(4)


class TimeLines(WithNode):
    def test_of_two_publishers_with_offset_clocks_every_image_is_judged(self):
        for index in range(96):
            secs = 1000.0 + index * 0.05 + (0.0 if index % 2 == 0 else 10.0)
            self.assertEqual(self.ask(secs), (STOP, ""))
        self.client.spin_until(lambda: self.client.value("camera", "time_lines") == "2", what="two time lines")
        self.assertAlmostEqual(float(self.client.value("camera", "clock_offset_secs")), 10.0, delta=2.0)
        self.assertEqual(self.client.count("time_jumps"), 0)
        self.client.all_accounted_for(96)
        lines = [line for line in self.process.log().splitlines() if "clocks arrive in turn" in line]
        self.assertEqual(len(lines), 1, lines)

    def test_an_outlier_is_no_jump_and_a_clock_that_is_set_back_is_one(self):
        for index in range(20):
            self.ask(5000.0 if index == 10 else 9000.0 + index * 0.1)
        for index in range(20):
            self.assertEqual(self.ask(5400.0 + index * 0.1), (STOP, ""))
            self.client.spin_for(0.05)
        self.client.counted("time_jumps", 1)
        self.client.all_accounted_for(40)
        self.assertEqual(self.client.count("time_jumps"), 1)
        self.assertIn("back (a bag that starts again?)", self.process.log())


class SimulatedTime(WithNode):
    parameters = {"use_sim_time": True, "max_image_age_secs": 2.0}

    def tell(self, secs):
        """Publishes /clock until the node has it: the age of an image of that time is near zero."""
        stamp = Time(sec=secs)
        for _ in range(5):
            self.clock.publish(Clock(clock=stamp))
            self.client.spin_for(0.05)

    def test_ages_are_judged_by_clock_once_it_is_there_and_it_may_go_back(self):
        self.assertEqual(self.ask(90.0), (STOP, ""), "no age without a clock")
        self.clock = self.client.node.create_publisher(Clock, "/clock", 10)
        self.client.spin_until(lambda: self.clock.get_subscription_count() > 0, what="the clock's match")
        self.tell(105)
        self.assertIn("5.0 s old", self.ask(100.0)[1])
        self.assertEqual(self.ask(104.5), (STOP, ""))
        self.tell(10)
        self.assertEqual(self.ask(9.5), (STOP, ""), "the bag starts again")
        self.assertIn("3.0 s old", self.ask(7.0)[1])
        self.client.all_accounted_for(5)


if __name__ == "__main__":
    unittest.main()
