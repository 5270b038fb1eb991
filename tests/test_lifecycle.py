"""The managed node, seen from outside: states, transitions, services, and what is wrong when a transition fails."""

import math
import pathlib
import shutil
import tempfile
import time
import unittest

from lifecycle_msgs.msg import Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetAvailableStates, GetAvailableTransitions, GetState
from node_case import OwnNode, setUpModule, tearDownModule
from node_client import MODEL, MONITOR, comparable, raw_image, stop_sign
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_srvs.srv import SetBool, Trigger

LOAD_SECS = 40.0


class ManagedNode(OwnNode):
    def call(self, service_type, name, request=None, timeout_secs=LOAD_SECS):
        return self.client.call(service_type, name, request, timeout_secs)

    def state(self):
        return self.call(GetState, "get_state").current_state.label

    def change(self, number=0, label=""):
        request = ChangeState.Request(transition=Transition(id=number, label=label))
        return self.call(ChangeState, "change_state", request).success

    def wait_until_active(self):
        self.client.spin_until(lambda: self.state() == "active", LOAD_SECS, "the state active")

    def set_text(self, name, value):
        parameter = Parameter(name=name, value=ParameterValue(type=4, string_value=str(value)))
        request = SetParameters.Request(parameters=[parameter])
        return self.call(SetParameters, "set_parameters", request).results[0]


class Transitions(ManagedNode):
    def test_a_manager_leads_the_node_through_its_states(self):
        self.run_node(autostart=False)
        events = []
        self.client.node.create_subscription(
            TransitionEvent, "/monitor/transition_event", lambda event: events.append(event), 10
        )
        self.assertEqual(self.state(), "unconfigured")
        self.client.spin_until(
            lambda: self.client.node.count_publishers("/monitor/transition_event"), what="the topic of events"
        )
        self.assertTrue(self.change(Transition.TRANSITION_CONFIGURE))
        self.assertEqual(self.state(), "inactive")
        self.assertEqual(self.client.images.get_subscription_count(), 0)
        self.assertTrue(self.change(label="activate"))
        self.assertEqual(self.state(), "active")
        self.client.wait_for(self.process)
        classified, _ = self.client.ask(raw_image(stop_sign()))
        self.assertEqual(classified.results[0].class_name, "stop")
        self.assertTrue(self.change(Transition.TRANSITION_DEACTIVATE))
        self.assertTrue(self.change(Transition.TRANSITION_CLEANUP))
        self.assertEqual(self.state(), "unconfigured")
        ways = [(event.transition.label, event.start_state.label, event.goal_state.label) for event in events]
        self.assertIn(("configure", "unconfigured", "configuring"), ways)
        self.assertIn(("transition_success", "configuring", "inactive"), ways)
        self.assertIn(("transition_success", "cleaningup", "unconfigured"), ways)

    def test_what_is_possible_is_told_and_the_rest_refused(self):
        self.run_node(autostart=False)
        states = self.call(GetAvailableStates, "get_available_states").available_states
        self.assertTrue({"unconfigured", "inactive", "active", "finalized"} <= {state.label for state in states})
        possible = self.call(GetAvailableTransitions, "get_available_transitions").available_transitions
        self.assertEqual([edge.transition.label for edge in possible], ["configure", "shutdown"])
        graph = self.call(GetAvailableTransitions, "get_transition_graph").available_transitions
        self.assertGreater(len(graph), len(possible))
        self.assertFalse(self.change(Transition.TRANSITION_ACTIVATE))
        self.assertEqual(self.state(), "unconfigured")
        self.assertIn("`activate (3)` is not possible in state unconfigured", self.process.log())

    def test_shutdown_ends_the_process(self):
        self.run_node()
        self.wait_until_active()
        self.assertTrue(self.change(label="shutdown"))
        self.assertEqual(self.process.wait(), 0, self.process.log())

    def test_counts_outlast_a_pause_and_nothing_is_judged_in_it(self):
        self.run_node()
        self.client.wait_for(self.process)
        self.client.ask(raw_image(stop_sign()))
        self.client.spin_until(lambda: self.client.count("judged") >= 2, what="the counts")
        judged = self.client.count("judged")
        self.assertTrue(self.change(label="deactivate"))
        answers = len(self.client.judged)
        for _ in range(5):
            self.client.send(raw_image(stop_sign()))
            self.client.spin_for(0.1)
        self.assertEqual(len(self.client.judged), answers)
        self.assertTrue(self.change(label="activate"))
        self.client.judged.clear()
        self.client.wait_for(self.process)
        self.client.ask(raw_image(stop_sign()))
        self.client.spin_until(lambda: self.client.count("judged") > judged, what="counts that go on")


class Failures(ManagedNode):
    def test_a_failed_configuration_leaves_the_node_alive_with_the_reason(self):
        self.run_node(model="/nowhere")
        self.assertEqual(self.state(), "unconfigured")

        def told():
            status = self.client.statuses.get("inference")
            return status and status.level == b"\x02" and "/nowhere" in status.message

        self.client.spin_until(told, what="the reason in the diagnostics")
        self.assertIn("model.json", self.process.log())
        self.assertTrue(self.set_text("model", MODEL).successful)
        self.assertTrue(self.change(label="configure"))
        self.assertTrue(self.change(label="activate"))
        self.client.wait_for(self.process)
        classified, _ = self.client.ask(raw_image(stop_sign()))
        self.assertEqual(classified.results[0].class_name, "stop")

    def test_model_and_monitor_are_replaced_without_a_restart(self):
        self.run_node()
        self.client.wait_for(self.process)
        _, before = self.client.ask(raw_image(stop_sign()))
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "other.monitor"
            shutil.copy(MONITOR, copy)
            self.assertFalse(self.set_text("monitor", copy).successful, "the node is active")
            self.assertTrue(self.change(label="deactivate"))
            self.assertTrue(self.set_text("monitor", copy).successful)
            self.assertTrue(self.change(label="cleanup"))
            self.assertTrue(self.change(label="configure"))
            self.assertTrue(self.change(label="activate"))
            self.client.judged.clear()
            self.client.wait_for(self.process)
            _, after = self.client.ask(raw_image(stop_sign()))
        self.assertEqual(comparable(after.results), comparable(before.results))

    def test_a_signal_ends_the_node_while_it_loads(self):
        self.run_node()
        self.client.spin_until(
            lambda: self.client.node.count_publishers("/monitor/transition_event"), LOAD_SECS, "the node in the graph"
        )
        start = time.monotonic()
        self.assertEqual(self.process.end(), 0, self.process.log())
        self.assertLess(time.monotonic() - start, 10.0)


class Services(ManagedNode):
    def test_judging_is_switched_off_and_on(self):
        self.run_node()
        self.client.wait_for(self.process)
        self.assertTrue(self.call(SetBool, "enable", SetBool.Request(data=False)).success)
        stamp = self.client.send(raw_image(stop_sign()))
        self.client.spin_until(
            lambda: "switched off: 1" in (self.client.value("camera", "dropped_reasons") or ""), what="the count"
        )
        self.assertNotIn(stamp, self.client.judged)
        self.assertTrue(self.call(SetBool, "enable", SetBool.Request(data=True)).success)
        self.client.ask(raw_image(stop_sign()))

    def test_reset_forgets_latencies_and_keeps_counts(self):
        self.run_node()
        self.client.wait_for(self.process)
        self.client.ask(raw_image(stop_sign()))
        self.client.spin_until(lambda: self.client.count("judged") >= 2, what="the counts")
        self.assertTrue(self.call(Trigger, "reset").success)
        self.client.spin_until(lambda: self.client.value("inference", "latency_p50_ms") == "", what="no latency")
        self.assertGreaterEqual(self.client.count("judged"), 2)

    def test_an_unconfigured_node_says_what_to_do(self):
        self.run_node(autostart=False)
        for service_type, name in ((SetBool, "enable"), (Trigger, "reset")):
            response = self.call(service_type, name)
            self.assertFalse(response.success)
            self.assertIn("configure", response.message)


class Messages(ManagedNode):
    def test_answers_carry_what_a_decision_needs(self):
        self.run_node()
        self.client.wait_for(self.process)
        classified, judged = self.client.ask(raw_image(stop_sign()))
        now = time.time()
        for message in (classified, judged):
            received = message.received.sec + message.received.nanosec * 1e-9
            published = message.published.sec + message.published.nanosec * 1e-9
            self.assertTrue(now - 20.0 < received <= published <= now + 1.0, (received, published, now))
            self.assertRegex(message.model_id, "^[0-9a-f]{12}$")
        self.assertAlmostEqual(judged.suspect_level, 0.05)
        self.assertAlmostEqual(judged.alarm_level, 0.01)
        self.assertEqual(judged.results[0].score, classified.results[0].score)
        classified, judged = self.client.ask(raw_image(stop_sign(), "nonsense"))
        self.assertEqual((classified.results[0].class_id, judged.results[0].predicted_class_id), (-1, -1))
        self.assertTrue(math.isnan(judged.results[0].score))


if __name__ == "__main__":
    unittest.main()
