"""The node's parameters, seen from outside over real DDS: services, events, params files, clients that die."""

import os
import random
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from node_case import setUpModule, tearDownModule
from node_client import MODEL, START_SECS, NodeProcess
from rcl_interfaces.msg import Parameter, ParameterEvent, ParameterType, ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    GetParameterTypes,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_parameter_events,
    qos_profile_parameters,
)
from rosgraph_msgs.msg import Clock
from test_parameters import table

TYPES = {
    "bool": ParameterType.PARAMETER_BOOL,
    "integer": ParameterType.PARAMETER_INTEGER,
    "double": ParameterType.PARAMETER_DOUBLE,
    "text": ParameterType.PARAMETER_STRING,
    "topic": ParameterType.PARAMETER_STRING,
    "choice": ParameterType.PARAMETER_STRING,
    "cameras": ParameterType.PARAMETER_STRING_ARRAY,
}


def message(value):
    """A ParameterValue of a Python value; None is not set."""
    if value is None:
        return ParameterValue()
    if isinstance(value, bool):
        return ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=value)
    if isinstance(value, int):
        return ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=value)
    if isinstance(value, float):
        return ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
    if isinstance(value, str):
        return ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
    return ParameterValue(type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=value)


def plain(value):
    """The Python value of a ParameterValue."""
    fields = {
        ParameterType.PARAMETER_BOOL: value.bool_value,
        ParameterType.PARAMETER_INTEGER: value.integer_value,
        ParameterType.PARAMETER_DOUBLE: value.double_value,
        ParameterType.PARAMETER_STRING: value.string_value,
        ParameterType.PARAMETER_STRING_ARRAY: list(value.string_array_value),
    }
    return fields.get(value.type)


class ParameterClient:
    """Calls the parameter services of a node and keeps its parameter events."""

    def __init__(self, target="/monitor"):
        self.target = target
        self.node = rclpy.create_node(f"client_{time.monotonic_ns()}")
        self.clients, self.events = {}, []
        self.node.create_subscription(ParameterEvent, "/parameter_events", self._event, qos_profile_parameter_events)

    def _event(self, event):
        if event.node == self.target:
            self.events.append(event)

    def client(self, service, name):
        if name not in self.clients:
            client = self.node.create_client(service, f"{self.target}/{name}", qos_profile=qos_profile_parameters)
            assert client.wait_for_service(timeout_sec=START_SECS), f"there is no {self.target}/{name}"
            self.clients[name] = client
        return self.clients[name]

    def call(self, service, name, request, timeout_secs=10.0):
        # A service is seen a little before its answers have a way, so the first question may have to be asked again.
        for _ in range(3):
            future = self.client(service, name).call_async(request)
            if self.spin_until(future.done, timeout_secs):
                return future.result()
        raise TimeoutError(f"{name} did not answer")

    def spin_until(self, condition, timeout_secs=10.0):
        deadline = time.monotonic() + timeout_secs
        while not condition() and time.monotonic() < deadline:
            rclpy.spin_once(self.node, timeout_sec=0.02)
        return condition()

    def list(self, prefixes=(), depth=0):
        return self.call(ListParameters, "list_parameters", ListParameters.Request(prefixes=prefixes, depth=depth)).result

    def get(self, *names):
        return [plain(value) for value in self.call(GetParameters, "get_parameters", GetParameters.Request(names=names)).values]

    def types(self, *names):
        return list(self.call(GetParameterTypes, "get_parameter_types", GetParameterTypes.Request(names=names)).types)

    def describe(self, *names):
        request = DescribeParameters.Request(names=names)
        return self.call(DescribeParameters, "describe_parameters", request).descriptors

    def set(self, *pairs):
        request = SetParameters.Request(parameters=parameters(pairs))
        return self.call(SetParameters, "set_parameters", request).results

    def set_atomically(self, *pairs):
        request = SetParametersAtomically.Request(parameters=parameters(pairs))
        return self.call(SetParametersAtomically, "set_parameters_atomically", request).result

    def close(self):
        self.node.destroy_node()


def parameters(pairs):
    return [Parameter(name=name, value=message(value)) for name, value in pairs]


class WithNode(unittest.TestCase):
    """One node and one client for all tests of a class."""

    target = "/front/signs"
    arguments = ["-r", "__ns:=/front", "-r", "__node:=signs"]
    parameters = {}

    @classmethod
    def setUpClass(cls):
        cls.process = NodeProcess(arguments=cls.arguments, **cls.parameters)
        cls.client = ParameterClient(cls.target)
        try:
            cls.client.list()
            if cls.parameters.get("autostart", True):
                assert cls.client.spin_until(cls.is_active, START_SECS), cls.process.log()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def is_active(cls):
        return "listening to " in cls.process.log()

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.process.end()

    def assert_refused(self, result, *words):
        self.assertFalse(result.successful)
        for word in words:
            self.assertIn(word, result.reason)


class Services(WithNode):
    parameters = {"cameras": "[front, rear]", "front.bit_depth": 12}

    def test_every_row_of_the_table_is_there_with_type_and_descriptor(self):
        rows = table()
        names = self.client.list().names
        own = [f"{camera}.{name}" for camera in ("front", "rear") for name, row in rows.items() if row["per_camera"]]
        self.assertEqual(sorted(names), sorted([*rows, *own]))
        described = dict(zip(names, self.client.describe(*names), strict=True))
        types = dict(zip(names, self.client.types(*names), strict=True))
        for name in names:
            row, descriptor = rows[name.split(".")[-1]], described[name]
            with self.subTest(name):
                self.assertEqual((descriptor.name, descriptor.type), (name, TYPES[row["type"]]))
                self.assertEqual(types[name], descriptor.type)
                self.assertEqual(descriptor.description, row["description"])
                self.assertEqual(descriptor.read_only, row["when"] == "start")
                self.assertEqual("unconfigured or inactive" in descriptor.additional_constraints, row["when"] == "configure")
                ranges = [(found.from_value, found.to_value) for found in descriptor.integer_range]
                self.assertEqual(ranges, [(row["min"], row["max"])] if row["type"] == "integer" else [])
                ranges = [(found.from_value, found.to_value) for found in descriptor.floating_point_range]
                self.assertEqual(ranges, [(row["min"], row["max"])] if row["type"] == "double" else [])
                for word in row.get("allowed", []):
                    self.assertIn(word, descriptor.additional_constraints)

    def test_values_of_cameras_are_their_own_or_those_for_all(self):
        names = ("front.bit_depth", "rear.bit_depth", "front.image_topic", "rear.image_topic", "cameras")
        self.assertEqual(self.client.get(*names), [12, 0, "/front/camera", "/rear/camera", ["front", "rear"]])

    def test_listing_by_prefix_and_depth(self):
        own = sum(row["per_camera"] for row in table().values())
        self.assertEqual(len(self.client.list(depth=1).names), len(table()))
        front = self.client.list(["front"], 1)
        self.assertEqual((len(front.names), list(front.prefixes)), (own, ["front"]))
        self.assertEqual(list(self.client.list(["top_k", "nonsense"]).names), ["top_k"])

    def test_unknown_names_give_an_empty_answer_as_in_rclcpp(self):
        for ask in (self.client.get, self.client.types, self.client.describe):
            self.assertEqual(list(ask("top_k", "nonsense")), [])

    def test_levels_that_fit_together_are_set_in_one_request(self):
        for pairs in ([("suspect_level", 0.3), ("alarm_level", 0.2)], [("alarm_level", 0.4), ("suspect_level", 0.5)]):
            self.assertEqual([result.successful for result in self.client.set(*pairs)], [True, True])
            self.assertEqual(self.client.get(*(name for name, _ in pairs)), [value for _, value in pairs])
        self.assertTrue(self.client.set_atomically(("alarm_level", 0.01), ("suspect_level", 0.05)).successful)

    def test_a_request_that_fails_as_a_whole_is_set_one_by_one(self):
        results = self.client.set(("top_k", 4), ("max_regions", 0), ("nonsense", 1), ("deadline_secs", 2.0))
        self.assertEqual([result.successful for result in results], [True, False, False, True])
        self.assertIn("`max_regions` must be in 1..10000, got 0", results[1].reason)
        self.assertIn("no parameter `nonsense`", results[2].reason)
        self.assertEqual(self.client.get("top_k", "max_regions", "deadline_secs"), [4, 64, 2.0])

    def test_an_atomic_request_that_fails_changes_nothing(self):
        before = self.client.get("suspect_level", "alarm_level", "max_regions")
        result = self.client.set_atomically(("max_regions", 9), ("suspect_level", 0.1), ("alarm_level", 0.2))
        self.assert_refused(result, "alarm_level 0.2 must not be above suspect_level 0.1")
        self.assertEqual(self.client.get("suspect_level", "alarm_level", "max_regions"), before)

    def test_other_types_are_refused(self):
        for name, value in (("alarm_level", 0), ("top_k", 1.0), ("viewer", False), ("top_k", None), ("cameras", "front")):
            self.assert_refused(self.client.set((name, value))[0], f"`{name}` must be a")

    def test_what_configure_and_start_read_is_refused_while_the_node_is_active(self):
        for name, value in (("model", "/elsewhere"), ("cameras", []), ("rear.image_topic", "/other"), ("viewer_port", 7)):
            self.assert_refused(self.client.set((name, value))[0], name, "deactivate the node")
        self.assert_refused(self.client.set(("autostart", False))[0], "restart the node")
        self.assertTrue(self.client.set(("device", "auto"))[0].successful, "the same value is no change")

    def test_an_alarm_that_could_not_happen_is_refused_with_the_smallest_level_that_can(self):
        result = self.client.set(("alarm_level", 1e-9))[0]
        self.assert_refused(result, "would never raise an alarm", "set alarm_level to ")
        smallest = float(result.reason.split("set alarm_level to ")[1].split()[0])
        self.assertLess(smallest, 0.01)
        self.assertTrue(self.client.set(("alarm_level", smallest))[0].successful)
        self.assertTrue(self.client.set(("alarm_level", 0.01))[0].successful)

    def test_changes_are_told_once_with_everything_that_follows(self):
        self.addCleanup(self.client.set, ("bit_depth", 0))
        self.client.spin_until(lambda: False, 0.5)
        self.client.events.clear()
        self.client.set(("bit_depth", 10), ("top_k", 6))
        self.assertTrue(self.client.spin_until(lambda: self.client.events))
        event = self.client.events[0]
        changed = {parameter.name: plain(parameter.value) for parameter in event.changed_parameters}
        self.assertEqual(changed, {"bit_depth": 10, "rear.bit_depth": 10, "top_k": 6})
        self.assertEqual((list(event.new_parameters), list(event.deleted_parameters)), ([], []))
        self.assertLess(abs(event.stamp.sec - time.time()), 10.0)
        self.client.set(("bit_depth", 10), ("top_k", 0))
        self.client.spin_until(lambda: False, 0.5)
        self.assertEqual(len(self.client.events), 1, "what did not change was told")
        infos = self.client.node.get_publishers_info_by_topic("/parameter_events")
        (own,) = [info for info in infos if (info.node_namespace, info.node_name) == ("/front", "signs")]
        self.assertEqual(own.qos_profile.reliability, ReliabilityPolicy.RELIABLE)
        self.assertEqual(own.qos_profile.durability, DurabilityPolicy.VOLATILE)

    def test_the_source_of_time_can_change(self):
        clock = self.client.node.create_publisher(Clock, "/clock", 10)

        def stamp_of_a_change(value):
            clock_message = Clock()
            clock_message.clock.sec = 12345
            for _ in range(20):
                clock.publish(clock_message)
                self.client.spin_until(lambda: False, 0.05)
            self.client.events.clear()
            self.client.set(("top_k", value))
            self.assertTrue(self.client.spin_until(lambda: self.client.events))
            return self.client.events[0].stamp.sec

        self.assertTrue(self.client.set(("use_sim_time", True))[0].successful)
        self.assertEqual(stamp_of_a_change(20), 12345)
        self.assertTrue(self.client.set(("use_sim_time", False))[0].successful)
        self.assertLess(abs(stamp_of_a_change(21) - time.time()), 10.0)

    def test_a_burst_of_requests_is_answered_completely(self):
        client = self.client.client(GetParameters, "get_parameters")
        futures = [client.call_async(GetParameters.Request(names=["top_k"])) for _ in range(300)]
        self.client.spin_until(lambda: all(future.done() for future in futures), 30.0)
        self.assertEqual(sum(future.done() for future in futures), 300)


class RandomSets(WithNode):
    parameters = {"cameras": "[front, rear]"}

    def test_a_thousand_random_sets_leave_a_sound_node(self):
        rows, chance = table(), random.Random(12)
        names = [*self.client.list().names, "nonsense", "front.nonsense", "", "side.bit_depth", "a" * 5000]
        words = [word for row in rows.values() for word in row.get("allowed", [])]
        values = [
            lambda: None,
            lambda: chance.random() < 0.5,
            lambda: chance.choice([0, 1, 12, 2**31, -(2**63), 2**63 - 1, chance.randrange(100)]),
            lambda: chance.choice([0.0, 0.5, -1.0, float("nan"), float("inf"), 1e300, chance.random()]),
            lambda: chance.choice(["", "a b", "/x", "é" * 3000, *words]),
            lambda: chance.sample(["front", "side", "a/b", "", "ood"], 2),
        ]
        for _ in range(1000):
            pairs = [(chance.choice(names), chance.choice(values)()) for _ in range(chance.randrange(5))]
            if chance.random() < 0.5:
                self.assertEqual(len(self.client.set(*pairs)), len(pairs))
            else:
                self.client.set_atomically(*pairs)
        self.assertIsNone(self.process.process.poll(), self.process.log())
        names = self.client.list().names
        for name, value in zip(names, self.client.get(*names), strict=True):
            row = rows[name.split(".")[-1]]
            with self.subTest(name):
                if row["type"] in ("integer", "double"):
                    self.assertTrue(row["min"] <= value <= row["max"], value)
                if row["type"] == "choice":
                    self.assertIn(value, row["allowed"])
        alarm, suspect, cameras = self.client.get("alarm_level", "suspect_level", "cameras")
        self.assertLessEqual(alarm, suspect)
        self.assertEqual(cameras, ["front", "rear"])


class Idle(WithNode):
    """While the node is unconfigured or inactive, more can be changed."""

    parameters = {"autostart": False, "model": "/nowhere", "side.bit_depth": 9}

    def transition(self, number):
        request = ChangeState.Request(transition=Transition(id=number))
        self.assertTrue(self.client.call(ChangeState, "change_state", request, timeout_secs=START_SECS).success)

    def test_what_configure_reads_can_be_set_until_the_node_is_active(self):
        own = {f"side.{name}" for name, row in table().items() if row["per_camera"]}
        self.client.spin_until(lambda: False, 0.5)
        self.client.events.clear()
        results = self.client.set(("model", str(MODEL)), ("cameras", ["side"]), ("side.image_topic", "/side/image"))
        self.assertEqual([result.reason for result in results], ["", "", ""])
        self.assertTrue(self.client.spin_until(lambda: self.client.events))
        (event,) = self.client.events
        self.assertEqual({parameter.name for parameter in event.new_parameters}, own)
        self.assertEqual({parameter.name for parameter in event.changed_parameters}, {"model", "cameras"})
        self.assertEqual(self.client.get("side.bit_depth", "side.image_topic"), [9, "/side/image"])
        self.assert_refused(self.client.set(("autostart", True))[0], "restart the node")

        self.transition(Transition.TRANSITION_CONFIGURE)
        self.assertTrue(self.client.set(("viewer_port", 9877))[0].successful)
        self.transition(Transition.TRANSITION_ACTIVATE)
        self.assertTrue(self.client.spin_until(lambda: self.client.node.count_subscribers("/side/image")))
        self.assert_refused(self.client.set(("viewer_port", 9876))[0], "deactivate the node")

        self.transition(Transition.TRANSITION_DEACTIVATE)
        self.client.events.clear()
        self.assertTrue(self.client.set(("cameras", []))[0].successful)
        self.assertTrue(self.client.spin_until(lambda: self.client.events))
        self.assertEqual({parameter.name for parameter in self.client.events[0].deleted_parameters}, own)


# Clients that ask a service and are killed before the answer can come, four at a time. They are forked, as importing takes
# longer than asking.
DYING = """
import os, signal, sys
import rclpy
from rcl_interfaces.srv import SetParameters

def ask_and_die(number):
    rclpy.init()
    client = rclpy.create_node(f"dying_{os.getpid()}").create_client(SetParameters, sys.argv[1])
    if client.wait_for_service(timeout_sec=30.0):
        for _ in range(1 + number % 5):
            client.call_async(SetParameters.Request())
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(1)

for start in range(0, int(sys.argv[2]), 4):
    children = [os.fork() or ask_and_die(start + index) for index in range(4)]
    for child in children:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status), status
"""


class DyingClients(WithNode):
    def test_clients_that_die_in_the_middle_of_a_call_do_no_harm(self):
        command = [sys.executable, "-c", DYING, f"{self.target}/set_parameters", "40"]
        # Over UDP: whoever is killed leaves its shared memory behind, and with the profile that is 128 MiB each.
        environment = {**os.environ, "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}
        environment.pop("FASTRTPS_DEFAULT_PROFILES_FILE", None)
        dying = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment)
        self.addCleanup(dying.kill)
        value = 1
        while dying.poll() is None:
            value = value % 1000 + 1
            self.assertTrue(self.client.set(("top_k", value))[0].successful)
            self.assertEqual(self.client.get("top_k"), [value])
        self.assertEqual(dying.returncode, 0)
        self.assertIsNone(self.process.process.poll(), self.process.log())

    def test_an_answer_that_nobody_can_take_is_told_and_the_node_goes_on(self):
        """The client asks for answers that are kept for late comers. The node's are not, so none has a way to it."""
        qos = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        deaf = self.client.node.create_client(GetParameters, f"{self.target}/get_parameters", qos_profile=qos)
        deadline = time.monotonic() + 20.0
        while "could not be sent" not in self.process.log() and time.monotonic() < deadline:
            deaf.call_async(GetParameters.Request(names=["top_k"]))
            self.client.spin_until(lambda: False, 0.2)
        self.client.node.destroy_client(deaf)
        self.assertIn("answers of ~/get_parameters could not be sent", self.process.log())
        self.assertTrue(self.client.set(("top_k", 3))[0].successful)
        self.assertEqual(self.client.get("top_k"), [3])


class Files(unittest.TestCase):
    """Params files for a node with another name and namespace."""

    def run_node(self, *texts, target="/front/signs", arguments=(), **parameters):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        namespace, name = target.rsplit("/", 1)
        given = ["-r", f"__ns:={namespace or '/'}", "-r", f"__node:={name}"]
        for index, text in enumerate(texts):
            path = Path(folder.name) / f"{index}.yaml"
            path.write_text(text)
            given += ["--params-file", str(path)]
        process = NodeProcess(arguments=[*given, *arguments], **parameters)
        self.addCleanup(process.end)
        client = ParameterClient(target)
        self.addCleanup(client.close)
        client.list()
        return process, client

    def test_wildcards(self):
        text = """
/**:
  ros__parameters: {top_k: 4}
/**/signs:
  ros__parameters: {stale_after_secs: 7}
/front/**:
  ros__parameters: {deadline_secs: 2.5}
/*/signs:
  ros__parameters: {max_regions: 7}
/front/signs:
  ros__parameters:
    viewer_queue: 9
    cameras: [left, right]
    left: {bit_depth: 10}
signs:
  ros__parameters: {regions_timeout_secs: 0.7, right.bit_depth: 11}
front:
  signs:
    ros__parameters: {max_image_pixels: 1000}
/*:
  ros__parameters: {top_k: 99}
/rear/**:
  ros__parameters: {top_k: 99}
/**/front:
  ros__parameters: {top_k: 99}
"""
        _, client = self.run_node(text)
        expected = {
            "top_k": 4,
            "stale_after_secs": 7.0,
            "deadline_secs": 2.5,
            "max_regions": 7,
            "viewer_queue": 9,
            "cameras": ["left", "right"],
            "left.bit_depth": 10,
            "right.bit_depth": 11,
            "regions_timeout_secs": 0.7,
            "max_image_pixels": 1000,
        }
        self.assertEqual(dict(zip(expected, client.get(*expected), strict=True)), expected)

    def test_what_wins_is_what_wins_in_another_node_of_ros(self):
        """rclpy with the same arguments is the judge."""
        texts = (
            "/**: {ros__parameters: {top_k: 4, max_regions: 4, viewer_queue: 4, viewer_port: 4}}",
            "/front/signs: {ros__parameters: {max_regions: 5, viewer_queue: 5}}",
            "/front/*: {ros__parameters: {viewer_port: 6}}\n/**: {ros__parameters: {viewer_queue: 6, top_k: 0x10}}",
        )
        names = ("top_k", "max_regions", "viewer_queue", "viewer_port")
        arguments = ["-p", "max_regions:=7"]
        process, client = self.run_node(*texts, arguments=arguments)
        ros_arguments = list(process.process.args[process.process.args.index("--ros-args") :])
        context = rclpy.Context()
        rclpy.init(args=["judge", *ros_arguments], context=context)
        options = {"allow_undeclared_parameters": True, "automatically_declare_parameters_from_overrides": True}
        judge = rclpy.create_node("other", context=context, **options)
        try:
            expected = [judge.get_parameter(name).value for name in names]
        finally:
            judge.destroy_node()
            context.shutdown()
        self.assertEqual(client.get(*names), expected)
        self.assertEqual(expected[0], 16)

    def test_a_file_for_others_is_told_with_its_sections(self):
        process, client = self.run_node("/rear/**: {ros__parameters: {top_k: 9}}\nother: {ros__parameters: {top_k: 9}}")
        self.assertEqual(client.get("top_k"), [3])
        log = process.log()
        self.assertIn("0.yaml has nothing for this node: it is called /front/signs", log)
        self.assertIn("`/rear/**`, `other`", log)

    def test_rules_for_a_node_by_name(self):
        process, client = self.run_node(arguments=["-p", "signs:top_k:=8", "-p", "other:top_k:=9"])
        self.assertEqual(client.get("top_k"), [8])
        self.assertNotIn("has nothing for this node", process.log())

    def test_quality_of_service_of_a_topic(self):
        base = "qos_overrides./camera.subscription"
        process, client = self.run_node(
            **{f"{base}.reliability": "reliable", f"{base}.durability": "transient_local", f"{base}.depth": 7},
            **{f"{base}.lifespan": 1, "qos_overrides./camra.subscription.depth": 3},
            **{"qos_overrides./front/signs/ood.publisher.reliability": "best_effort"},
        )
        node = client.node
        client.spin_until(lambda: node.count_subscribers("/camera") and node.count_publishers("/front/signs/ood"))
        (camera,) = node.get_subscriptions_info_by_topic("/camera")
        self.assertEqual(camera.qos_profile.reliability, ReliabilityPolicy.RELIABLE)
        self.assertEqual(camera.qos_profile.durability, DurabilityPolicy.TRANSIENT_LOCAL)
        (ood,) = node.get_publishers_info_by_topic("/front/signs/ood")
        self.assertEqual(ood.qos_profile.reliability, ReliabilityPolicy.BEST_EFFORT)
        self.assertEqual(client.get(f"{base}.depth"), [7])
        self.assertTrue(client.describe(f"{base}.depth")[0].read_only)
        for name in (f"{base}.lifespan", "qos_overrides./camra.subscription.depth"):
            client.spin_until(lambda name=name: f"`{name}` is not applied" in process.log())
            self.assertIn(f"`{name}` is not applied", process.log())


class WrongAtTheStart(unittest.TestCase):
    def failing(self, **parameters):
        process = NodeProcess(**parameters)
        self.addCleanup(process.kill)
        self.assertNotEqual(process.wait(START_SECS), 0)
        self.assertNotIn("panicked", process.log())
        return process.log()

    def test_the_parameter_is_named(self):
        for name, value, words in (
            ("image_topic", "a b", "parameter `image_topic`: `a b` is not a topic name"),
            ("regions_topic", "/a//b", "parameter `regions_topic`: `/a//b` is not a topic name"),
            ("cameras", "[front, front]", "parameter `cameras`: the camera `front` is named twice"),
            ("cameras", "[ood]", "parameter `cameras`: `ood` cannot name a camera"),
            ("qos_overrides./camera.subscription.depth", 0, "`qos_overrides./camera.subscription.depth` must be an integer"),
        ):
            with self.subTest(name):
                self.assertIn(words, self.failing(**{name: value}))


if __name__ == "__main__":
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    unittest.main()
