"""Images and their regions, as the running node brings them together, seen from outside.

What depends on exact times (time-outs, rates, orders of arrival) is checked on a clock of its own by the Rust tests of
src/node/input. Not checked here: boxes of vision_msgs (tests/vision_msgs) and cutting out regions (test_node.py).
"""

import math
import os
import pathlib
import signal
import time
import unittest

from activation_monitor.msg import OodConfidence
from node_case import SharedNode, setUpModule, tearDownModule
from node_client import Client, NodeProcess, at, raw_image, scene, sign, stop_sign

UNKNOWN = OodConfidence.UNKNOWN
STOP = "stop"
# Longer than any pause of a busy machine in between; the tests that need a time-out set a short one.
LONG_SECS = 20.0
SHORT_SECS = 0.3


class WithRegions(SharedNode):
    parameters = {"regions_topic": "/regions", "diagnostics_period_secs": 0.2}

    def setUp(self):
        """Every test begins at the present time and with the same parameters."""
        self.client.spin_for(0.4)
        self.configure()
        self.base_secs = time.time()

    def configure(self, timeout_secs=LONG_SECS, tolerance_secs=0.0, policy="wait", max_regions=64):
        self.client.set_parameters(
            regions_timeout_secs=timeout_secs,
            regions_tolerance_secs=tolerance_secs,
            without_regions=policy,
            max_regions=max_regions,
        )

    def answers(self, stamps, timeout_secs=20.0):
        """The answers to the images of these stamps, in the order in which they came."""
        wanted = set(stamps)
        judged, classified = self.client.judged, self.client.classified

        def complete():
            return wanted <= set(judged) and wanted <= set(classified)

        self.client.spin_until(complete, timeout_secs, f"the answers to {len(stamps)} images")
        return [message for stamp, message in judged.items() if stamp in wanted]

    def assert_unknown(self, message, *words):
        for result in message.results:
            self.assertEqual(result.verdict, UNKNOWN)
            self.assertTrue(math.isnan(result.p_value))
            for word in words:
                self.assertIn(word, result.reason)

    def assert_in_order(self, messages):
        stamps = [(message.header.stamp.sec, message.header.stamp.nanosec) for message in messages]
        self.assertEqual(stamps, sorted(stamps))

    def send(self, secs, regions=None):
        return self.client.send(raw_image(scene()), at(self.base_secs + secs), regions)

    def send_regions(self, secs, regions, frame_id=None):
        self.client.send_regions(regions, at(self.base_secs + secs), frame_id)


class Regions(WithRegions):
    def test_every_image_is_answered_whatever_rate_times_time_out_is(self):
        """Fifty images in two seconds, and a time-out of three: 32 places would never have expired."""
        self.configure(timeout_secs=3.0)
        received, missing = self.client.count("received"), self.client.count("regions_missing")
        stamps = []
        for index in range(50):
            stamps.append(self.send(index * 0.04))
            self.client.spin_for(0.04)
        answers = self.answers(stamps)
        self.assert_in_order(answers)
        for answer in answers:
            self.assert_unknown(answer, "no regions with the stamp of the image within 3.00 s")
        self.client.counted("regions_missing", missing + 50)
        self.client.all_accounted_for(received + 50)

    def test_a_pair_that_is_late_displaces_no_newer_image(self):
        first, second = self.send(0.0), self.send(0.1)
        out_of_order = self.client.count("regions_out_of_order")
        self.send_regions(0.1, [sign()])
        self.send_regions(0.0, [sign()])
        answers = self.answers([first, second])
        self.assert_in_order(answers)
        self.assert_unknown(answers[0], "a newer image had its regions first")
        self.assertNotEqual(answers[1].results[0].verdict, UNKNOWN)
        self.assertEqual(self.client.classified[second].results[0].class_name, STOP)
        self.client.counted("regions_out_of_order", out_of_order + 1)

    def test_late_regions_are_counted_and_the_next_answer_says_what_to_raise(self):
        self.configure(timeout_secs=SHORT_SECS)
        late = self.client.count("regions_late")
        stamp = self.send(0.0)
        self.answers([stamp])
        self.client.spin_for(0.2)
        self.send_regions(0.0, [sign()])
        self.client.counted("regions_late", late + 1)
        self.assertGreater(float(self.client.value("camera", "regions_lateness_max_secs")), 0.1)
        [answer] = self.answers([self.send(1.0)])
        self.assert_unknown(answer, "after their image", "raise regions_timeout_secs")
        self.assertIn("raise regions_timeout_secs", self.process.log())

    def test_a_slow_detector_is_no_fault_with_skip(self):
        self.configure(policy="skip")
        self.client.spin_for(1.0)  # a status without the unknown results of the tests before
        self.base_secs = time.time()
        received, unknown = self.client.count("received"), self.client.count("unknown")
        stamps = []
        for index in range(30):
            stamp = self.send(index * 0.033, [sign()] if index % 3 == 2 else None)
            stamps += [stamp] if index % 3 == 2 else []
            self.client.spin_for(0.03)
        self.assert_in_order(self.answers(stamps))
        self.client.all_accounted_for(received + 30)
        self.assertEqual(self.client.count("unknown"), unknown)
        self.assertIn("no regions, skipped", self.client.value("camera", "dropped_reasons"))
        self.assertEqual(self.client.statuses["camera"].level, b"\x00", self.client.statuses["camera"].message)

    def test_an_image_without_regions_may_be_judged_whole(self):
        self.configure(timeout_secs=SHORT_SECS, policy="whole_image")
        stamp = self.client.send(raw_image(stop_sign()), at(self.base_secs))
        [answer] = self.answers([stamp])
        self.assertEqual(self.client.classified[stamp].results[0].class_name, STOP)
        self.assertNotEqual(answer.results[0].verdict, UNKNOWN)
        self.assertEqual(answer.results[0].region.roi.width, 0)

    def test_ten_thousand_regions(self):
        self.configure(max_regions=8)
        over = self.client.count("regions_over_limit")
        regions = [sign(f"sign {index % 3}") for index in range(10_000)]
        stamp = self.send(0.0, regions)
        [answer] = self.answers([stamp])
        self.assertEqual([result.region.id for result in answer.results], [asked.id for asked in regions])
        self.assertEqual(sum(result.verdict == UNKNOWN for result in answer.results), 9992)
        self.assertTrue(all(result.verdict != UNKNOWN for result in answer.results[:8]))
        self.assertIn("raise max_regions", answer.results[8].reason)
        self.client.counted("regions_over_limit", over + 9992)
        [answer] = self.answers([self.send(1.0, [sign()])])
        self.assertNotEqual(answer.results[0].verdict, UNKNOWN)

    def test_frames_must_agree_and_the_answer_names_them(self):
        stamp = self.send(0.0)
        self.send_regions(0.0, [sign()], frame_id="")
        [answer] = self.answers([stamp])
        self.assertNotEqual(answer.results[0].verdict, UNKNOWN, "an empty frame_id is of any frame")
        self.configure(timeout_secs=SHORT_SECS)
        stamp = self.send(1.0)
        self.send_regions(1.0, [sign()], frame_id="other_camera")
        [answer] = self.answers([stamp])
        self.assert_unknown(answer, "`other_camera`", "`camera_optical`")

    def test_regions_of_a_bag_that_starts_again_survive(self):
        """The detector answers at once, and its regions may come before the image that shows that time has jumped."""
        for index in range(10):
            self.send(index * 0.1, [sign()])
            self.client.spin_for(0.1)
        waiting = self.send(1.0)
        self.client.spin_for(0.5)
        jumps, stamps = self.client.count("time_jumps"), []
        for index in range(10):
            secs = index * 0.1 - 100.0
            self.send_regions(secs, [sign()])
            stamps.append(self.send(secs))
            self.client.spin_for(0.1)
        answers = self.answers(stamps)
        self.assert_in_order(answers)
        self.assertTrue(all(answer.results[0].verdict != UNKNOWN for answer in answers))
        self.client.counted("time_jumps", jumps + 1)
        self.assertEqual(self.client.count("time_jumps"), jumps + 1)
        self.assertNotIn(waiting, self.client.judged)
        self.assertIn("stamps jumped: ", self.client.value("camera", "dropped_reasons"))

    def test_regions_that_never_get_an_image_are_counted(self):
        self.configure(timeout_secs=SHORT_SECS)
        unmatched = self.client.count("regions_unmatched")
        for index in range(5):
            self.send_regions(index * 0.1, [sign()])
        self.client.counted("regions_unmatched", unmatched + 5)

    def test_do_rectify_is_said_to_be_ignored(self):
        ignored = self.client.count("rectify_ignored")
        rectified = sign()
        rectified.roi.do_rectify = True
        [answer] = self.answers([self.send(0.0, [rectified, sign()])])
        self.assertEqual([result.region.roi.do_rectify for result in answer.results], [True, False])
        self.client.counted("rectify_ignored", ignored + 1)
        self.assertIn("do_rectify", self.process.log())

    def test_waits_are_told_apart_from_inference(self):
        stamp = self.send(0.0)
        self.client.spin_for(1.0)
        self.send_regions(0.0, [sign()])
        self.answers([stamp])
        self.client.spin_until(lambda: float(self.client.value("camera", "wait_p99_ms") or 0) > 900.0, what="the wait")


class Tolerance(WithRegions):
    """A node of its own: where regions came late in the last minute, the reason names that instead."""

    def test_stamps_may_differ_by_the_tolerance(self):
        self.configure(timeout_secs=SHORT_SECS)
        stamp = self.send(0.0)
        self.send_regions(0.01, [sign()])
        [answer] = self.answers([stamp])
        self.assert_unknown(answer, "0.0100 s away", "regions_tolerance_secs")
        self.configure(tolerance_secs=0.02)
        stamp = self.send(1.0)
        self.send_regions(1.01, [sign("near")])
        [answer] = self.answers([stamp])
        self.assertEqual(answer.results[0].region.id, "near")
        self.assertNotEqual(answer.results[0].verdict, UNKNOWN)


class Ends(unittest.TestCase):
    def test_images_that_wait_at_the_end_are_counted(self):
        process, client = NodeProcess(regions_topic="/regions", regions_timeout_secs=50.0), Client()
        self.addCleanup(process.kill)
        self.addCleanup(client.close)
        client.wait_for(process, probe=False)
        for index in range(7):
            client.send(raw_image(scene()), at(100.0 + index))
            client.spin_for(0.05)
        client.ask(raw_image(scene()), [sign()], stamp=at(107.0))
        for index in range(3):
            client.send(raw_image(scene()), at(108.0 + index))
        client.counted("received", 11)
        self.assertEqual(process.end(signal.SIGTERM), 0, process.log())
        self.assertIn("11 images received, 8 judged, 3 dropped", process.log())

    def test_detections_are_refused_where_their_messages_are_not_known(self):
        prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(":")
        if any((pathlib.Path(prefix) / "share/vision_msgs").is_dir() for prefix in prefixes):
            self.skipTest("this ROS 2 has vision_msgs")
        process = NodeProcess(regions_topic="/detections", regions_type="detection2d_array")
        self.addCleanup(process.kill)
        client = Client()
        self.addCleanup(client.close)
        client.spin_until(lambda: "built without vision_msgs" in process.log(), 40.0, "the reason")
        self.assertIn("set regions_type to region_array", process.log())
        self.assertEqual(client.node.count_publishers("/monitor/ood"), 0)


if __name__ == "__main__":
    unittest.main()
