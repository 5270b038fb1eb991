"""Verdicts over time, seen from outside: objects over their views, the state of the camera over its images.

The statistics are checked by the Rust tests of src/calibration and src/stream; here it is whether the node does what they say with
real images, parameters and topics.
"""

import math
import time

from activation_monitor.msg import ObjectConfidence, OodConfidence, StreamState
from node_case import OwnNode, SharedNode, setUpModule, tearDownModule
from node_client import at, raw_image, scene, sign, strange_scene
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from std_srvs.srv import Trigger

LATCHED = QoSProfile(
    depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL, reliability=QoSReliabilityPolicy.RELIABLE
)
PERIOD_SECS = 0.1


class OverTime(SharedNode):
    parameters = {"regions_topic": "/regions", "diagnostics_period_secs": 0.2}

    def setUp(self):
        self.states, self.changes = [], []
        node = self.client.node
        self.subscriptions = [
            node.create_subscription(StreamState, "/monitor/stream_state", self.states.append, 100),
            node.create_subscription(StreamState, "/monitor/stream_changes", self.changes.append, LATCHED),
        ]
        self.client.spin_for(0.5)
        self.assertTrue(self.client.call(Trigger, "reset").success)
        self.changes.clear()
        self.client.set_parameters(object_timeout_secs=2.0, mean_time_between_false_alarms=10.0, stream_block_secs=0.5)
        self.base_secs = time.time()
        self.shown = 0

    def tearDown(self):
        for subscription in self.subscriptions:
            self.client.node.destroy_subscription(subscription)

    def show(self, pixels, regions, secs=None):
        """Shows an image one period after the one before, or at that time, and gives the answer."""
        self.shown += 1
        stamp = at(self.base_secs + (PERIOD_SECS * self.shown if secs is None else secs))
        _, judged = self.client.ask(raw_image(pixels), regions, stamp)
        return judged

    def show_many(self, count, pixels, regions):
        return [self.show(pixels, regions) for _ in range(count)]

    def state(self):
        """The state that belongs to the latest image."""
        self.client.spin_until(lambda: len(self.states) >= self.shown, what=f"{self.shown} states")
        return self.states[-1]

    def test_views_of_one_object_add_up(self):
        answers = self.show_many(5, scene(), [sign()])
        objects = [answer.results[0].object for answer in answers]
        self.assertEqual([one.views for one in objects], [1, 2, 3, 4, 5])
        last = objects[-1]
        self.assertEqual((last.id, last.class_name, last.reason), ("sign", "stop", ""))
        self.assertEqual(last.class_share, 1.0)
        self.assertEqual(last.verdict, ObjectConfidence.IN_DISTRIBUTION)
        self.assertGreater(last.p_value, 0.05)
        self.assertEqual(last.first_seen, answers[0].header.stamp)

    def test_a_strange_object_alarms_and_one_strange_view_does_not(self):
        answers = self.show_many(4, scene(), [sign()])
        answers.append(self.show(strange_scene(), [sign()]))
        self.assertEqual(answers[-1].results[0].verdict, OodConfidence.OUT_OF_DISTRIBUTION, "the view")
        self.assertEqual(answers[-1].results[0].object.verdict, ObjectConfidence.IN_DISTRIBUTION, "the object")
        answer = self.show_many(8, strange_scene(), [sign("other")])[-1]
        self.assertEqual(answer.results[0].object.verdict, ObjectConfidence.OUT_OF_DISTRIBUTION)

    def test_an_id_after_a_gap_is_another_object(self):
        self.show_many(3, scene(), [sign()])
        answer = self.show(scene(), [sign()], secs=5.0)
        self.assertEqual(answer.results[0].object.views, 1)
        self.client.set_parameters(object_timeout_secs=10.0)
        answer = self.show(scene(), [sign()], secs=10.0)
        self.assertEqual(answer.results[0].object.views, 2, "by the parameter it is the same one")

    def test_regions_without_a_name_of_their_own_have_no_object(self):
        answer = self.show(scene(), [sign(""), sign("twice"), sign("twice")])
        nameless, first, second = [result.object for result in answer.results]
        for one, words in [(nameless, "no id"), (first, "`twice`"), (second, "`twice`")]:
            self.assertEqual((one.views, one.verdict, one.class_id), (0, ObjectConfidence.UNKNOWN, -1))
            self.assertTrue(math.isnan(one.p_value))
            self.assertIn(words, one.reason)
        self.client.spin_until(lambda: self.client.count("objects_duplicate_ids") >= 2, what="the count")

    def test_a_camera_that_shows_strange_things_changes_and_comes_back(self):
        self.show_many(20, scene(), [sign()])
        state = self.state()
        self.assertEqual((state.state, state.alarms), (StreamState.NOMINAL, 0))
        self.assertEqual(state.threshold, 10 * 3600 / 0.5)
        self.assertEqual(state.promised_hours_between_false_alarms, 10.0)
        self.assertTrue(math.isnan(state.observed_hours_between_alarms))
        begun = self.base_secs + PERIOD_SECS * self.shown
        for _ in range(40):
            self.show(strange_scene(), [sign()])
            if self.state().state == StreamState.CHANGED:
                break
        state = self.state()
        self.assertEqual((state.state, state.alarms), (StreamState.CHANGED, 1))
        found = state.changed.sec + state.changed.nanosec / 1e9
        self.assertLess(found - begun, 2.5, "seconds until it was found")
        begin, end = [stamp.sec + stamp.nanosec / 1e9 for stamp in (state.onset_begin, state.onset_end)]
        self.assertTrue(begun - 2.0 < begin <= begun < end, (begin - begun, end - begun))
        self.client.spin_until(lambda: self.client.value("camera", "stream_state") == "CHANGED", what="diagnostics")
        self.assertIn("not like the training data", self.client.statuses["camera"].message)
        self.show_many(60, scene(), [sign()])
        self.assertEqual((self.state().state, self.state().alarms), (StreamState.NOMINAL, 1))
        self.client.spin_until(lambda: len(self.changes) >= 3, what="nominal, changed, nominal")
        self.assertEqual([change.state for change in self.changes[-2:]], [StreamState.CHANGED, StreamState.NOMINAL])

    def test_who_comes_late_gets_the_latest_change(self):
        self.show(scene(), [sign()])
        self.state()
        late = []
        subscription = self.client.node.create_subscription(
            StreamState, "/monitor/stream_changes", late.append, LATCHED
        )
        self.client.spin_until(lambda: late, what="the latched state")
        self.client.node.destroy_subscription(subscription)
        self.assertEqual(late[-1].state, StreamState.NOMINAL)

    def test_stamps_that_jump_begin_anew_and_are_counted(self):
        self.show_many(7, strange_scene(), [sign()])
        self.assertGreater(self.state().evidence, 10.0)
        jumps = self.client.count("stream_jumps")
        answer = self.show(strange_scene(), [sign()], secs=-3600.0)
        self.assertEqual(answer.results[0].object.views, 1)
        self.assertEqual(self.state().evidence, 0.0)
        self.client.spin_until(lambda: self.client.count("stream_jumps") > jumps, what="the count")


class WithoutMonitor(OwnNode):
    def test_nothing_is_said_without_a_monitor(self):
        client = self.run_node(monitor="")
        states = []
        client.node.create_subscription(StreamState, "/monitor/stream_state", states.append, 10)
        client.wait_for(self.process)
        _, judged = client.ask(raw_image(scene()))
        self.assertEqual(judged.results[0].object.verdict, ObjectConfidence.UNKNOWN)
        client.spin_until(lambda: states, what="a state")
        self.assertEqual(states[-1].state, StreamState.UNKNOWN)
        self.assertIn("calibrated", states[-1].reason)
