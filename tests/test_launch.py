"""The launch files: what they declare, and the nodes that they start.

The packages launch and launch_ros are not among the ROS 2 wheels, so small fakes of them record what the launch files
do. A machine that has the real ones runs the launch files with those, too, and the real node as a managed one.
"""

import importlib.util
import json
import os
import pathlib
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest
from unittest import mock
from xml.etree import ElementTree

import yaml
from test_parameters import NODE, ROOT, table

FILES = ("monitor.launch.py", "cameras.launch.py", "lifecycle.launch.py", "monitor.launch.xml", "monitor.launch.yaml")
# The folders of the checkout lie as they do in the share folder of the package.
SHARE = ROOT
# Arguments that are no parameters of the node.
OTHERS = {"params_file", "namespace", "respawn", "log_level"}
PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
SHIPPED = {"model": "models/traffic_signs", "monitor": "models/traffic_signs/traffic_signs.monitor"}


class Record:
    """Stands for an action: remembers how it was made."""

    def __init__(self, *names, **fields):
        self.names = names
        self.__dict__.update(fields)


class Argument(Record):
    @property
    def name(self):
        return self.names[0]


class Start(Record):
    """An OpaqueFunction."""


class Node(Record):
    pass


class LifecycleNode(Node):
    pass


class Source(Record):
    """A launch file to include."""


class Include(Record):
    pass


class Handler(Record):
    """RegisterEventHandler, and what it registers."""


class Event(Record):
    """An event, and the action that emits it."""


class Substitution:
    def perform(self, context):
        raise NotImplementedError


class LaunchConfiguration(Substitution):
    def __init__(self, name, *, default=None):
        self.name, self.default = name, default

    def perform(self, context):
        if self.default is None:
            return context.launch_configurations[self.name]
        return context.launch_configurations.get(self.name, self.default)


class EnvironmentVariable(Substitution):
    def __init__(self, name, *, default_value):
        self.name, self.default_value = name, default_value

    def perform(self, context):
        return context.environment.get(self.name, self.default_value)


class TextSubstitution(Substitution):
    def __init__(self, *, text):
        self.text = text

    def perform(self, context):
        return self.text


class ParameterValue:
    def __init__(self, value, *, value_type):
        # The real one converts substitutions to the type, but refuses a text that is to be a bool.
        assert isinstance(value, Substitution), value
        self.text, self.type = value.perform(None), value_type


def fakes():
    content = {
        "launch": {"LaunchDescription": list},
        "launch.actions": {
            "DeclareLaunchArgument": Argument,
            "EmitEvent": Event,
            "IncludeLaunchDescription": Include,
            "OpaqueFunction": Start,
            "RegisterEventHandler": Handler,
        },
        "launch.event_handlers": {"OnProcessStart": Handler},
        "launch.events": {"matches_action": lambda action: action},
        "launch.launch_description_sources": {"PythonLaunchDescriptionSource": Source},
        "launch.substitutions": {
            "EnvironmentVariable": EnvironmentVariable,
            "LaunchConfiguration": LaunchConfiguration,
            "TextSubstitution": TextSubstitution,
        },
        "launch_ros": {},
        "launch_ros.actions": {"LifecycleNode": LifecycleNode, "Node": Node},
        "launch_ros.event_handlers": {"OnStateTransition": Handler},
        "launch_ros.events": {},
        "launch_ros.events.lifecycle": {"ChangeState": Event},
        "launch_ros.parameter_descriptions": {"ParameterValue": ParameterValue},
        "ament_index_python": {},
        "ament_index_python.packages": {"get_package_share_directory": lambda package: str(SHARE)},
    }
    modules = {name: types.ModuleType(name) for name in content}
    for name, values in content.items():
        vars(modules[name]).update(values)
    return modules


def described(file):
    """The actions of a launch file in Python."""
    with mock.patch.dict(sys.modules, fakes()):
        return runpy.run_path(str(ROOT / "launch" / file))["generate_launch_description"]()


def description(file="monitor.launch.py"):
    """The declared arguments by name, and the function that starts the node."""
    actions = described(file)
    arguments = {action.name: action for action in actions if isinstance(action, Argument)}
    (start,) = (action for action in actions if isinstance(action, Start))
    return arguments, start


def started(file="monitor.launch.py", environment=(), **given):
    """What is started when these arguments are given, and the context of that."""
    arguments, start = description(file)
    values = {name: argument.default_value for name, argument in arguments.items()} | given
    context = types.SimpleNamespace(launch_configurations=values, environment=dict(environment))
    with mock.patch.dict(sys.modules, fakes()):
        return list(start.function(context, *start.args)), context


def start_node(environment=(), **given):
    """The node that is started when these arguments are given, and its environment variables."""
    (node,), context = started(environment=environment, **given)
    return node, {name: value.perform(context) for name, value in node.additional_env.items()}


def overrides_of(node):
    """Parameters that win over the params file: text and type, or list, by name."""
    values = {name: value for values in node.parameters[1:] for name, value in values.items()}
    return {name: value if isinstance(value, list) else (value.text, value.type) for name, value in values.items()}


def shipped(*names):
    return {name: (str(SHARE / SHIPPED[name]), str) for name in names}


class Declared(unittest.TestCase):
    def setUp(self):
        self.arguments, _ = description()

    def test_names(self):
        parameters = "model monitor device cameras image_topic image_transport regions_topic".split()
        parameters += "viewer autostart use_sim_time".split()
        self.assertEqual(set(self.arguments), set(parameters) | OTHERS)

    def test_defaults_leave_the_params_file_alone(self):
        for name in set(self.arguments) - {"params_file", "respawn", "log_level"}:
            self.assertEqual(self.arguments[name].default_value, "", name)
        self.assertEqual(self.arguments["params_file"].default_value, str(SHARE / "params/monitor.yaml"))
        self.assertEqual(self.arguments["log_level"].default_value, "info")

    def test_parameters_are_described_as_in_the_table(self):
        rows = table()
        for name in set(self.arguments) - OTHERS:
            self.assertIn(name, rows, "the node has no such parameter (src/node/parameters/table.rs)")
            text = self.arguments[name].description
            self.assertTrue(text.startswith(rows[name]["description"] + " Not given: "), f"{name}: {text}")

    def test_every_argument_is_described(self):
        for name, argument in self.arguments.items():
            self.assertTrue(argument.description.endswith("."), name)


class Started(unittest.TestCase):
    def test_executable(self):
        node, _ = start_node()
        self.assertEqual((node.package, node.executable, node.name), ("activation_monitor", "monitor_node", "monitor"))
        self.assertEqual(node.output, "screen")

    def test_namespace_and_log_level(self):
        node, _ = start_node(namespace="front", log_level="debug")
        self.assertEqual(node.namespace, "front")
        self.assertEqual(node.ros_arguments, ["--log-level", "debug"])

    def test_without_a_namespace_it_is_empty(self):
        """Not None: launch_ros would address the overrides to all nodes, and a section for this one would beat them."""
        self.assertEqual(start_node()[0].namespace, "")

    def test_params_file_comes_first(self):
        node, _ = start_node(device="cpu")
        self.assertEqual(node.parameters[0], str(SHARE / "params/monitor.yaml"))
        self.assertEqual(len(node.parameters), 2)

    def test_only_given_arguments_win_over_the_params_file(self):
        given = {"image_topic": "/camera", "viewer": "off"}
        expected = {name: (value, str) for name, value in given.items()}
        self.assertEqual(overrides_of(start_node(**given)[0]), expected | shipped("model", "monitor"))

    def test_types_are_those_of_the_table(self):
        types_of_rows = {"bool": bool, "text": str, "topic": str, "choice": str}
        expected = {name: types_of_rows[table()[name]["type"]] for name in set(description()[0]) - OTHERS - {"cameras"}}
        given = {name: "true" for name in expected}
        actual = {name: value_type for name, (_, value_type) in overrides_of(start_node(**given)[0]).items()}
        self.assertEqual(actual, expected)

    def test_cameras_are_a_list(self):
        node, _ = start_node(cameras="front, rear")
        self.assertEqual(overrides_of(node)["cameras"], ["front", "rear"])

    def test_a_node_that_ended_comes_back_after_a_while(self):
        (node,), context = started()
        self.assertEqual((node.respawn.perform(context), node.respawn_delay), ("true", 2.0))
        (node,), context = started(respawn="false")
        self.assertEqual(node.respawn.perform(context), "false")


class Model(unittest.TestCase):
    """The shipped model and monitor step in only where nothing is named."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.params_file = pathlib.Path(folder.name) / "own.yaml"

    def started_with(self, text, **given):
        self.params_file.write_text(text)
        node, _ = start_node(params_file=str(self.params_file), **given)
        self.assertEqual(node.parameters[0], str(self.params_file))
        return node

    def test_named_nowhere(self):
        self.assertEqual(overrides_of(start_node()[0]), shipped("model", "monitor"))
        for text in ("", "/**:\n  ros__parameters:\n", "/**:\n  ros__parameters:\n    {model: '', monitor: ''}\n"):
            self.assertEqual(overrides_of(self.started_with(text)), shipped("model", "monitor"), text)

    def test_a_section_that_is_called_monitor_names_no_monitor(self):
        text = "monitor:\n  ros__parameters:\n    device: cpu\n"
        self.assertEqual(overrides_of(self.started_with(text)), shipped("model", "monitor"))

    def test_a_model_on_the_command_line_goes_without_the_shipped_monitor(self):
        self.assertEqual(overrides_of(start_node(model="mine")[0]), {"model": ("mine", str)})

    def test_a_monitor_on_the_command_line_goes_with_the_shipped_model(self):
        overrides = overrides_of(start_node(monitor="mine")[0])
        self.assertEqual(overrides, shipped("model") | {"monitor": ("mine", str)})

    def test_a_model_in_the_params_file_needs_no_override(self):
        for section in ("/**", "/monitor", "monitor"):
            node = self.started_with(f"{section}:\n  ros__parameters:\n    model: mine\n")
            self.assertEqual(node.parameters, [str(self.params_file)], section)

    def test_a_model_in_a_section_under_a_namespace(self):
        text = "front:\n  monitor:\n    ros__parameters:\n      model: mine\n"
        self.assertEqual(self.started_with(text, namespace="front").parameters, [str(self.params_file)])

    def test_the_command_line_wins_over_the_params_file(self):
        node = self.started_with("/**:\n  ros__parameters:\n    model: mine\n", model="other")
        self.assertEqual(overrides_of(node), {"model": ("other", str)})

    def test_a_params_file_that_is_not_there_is_an_error(self):
        with self.assertRaisesRegex(FileNotFoundError, "none.yaml"):
            start_node(params_file="none.yaml")


class Transport(unittest.TestCase):
    def test_large_images_get_the_shipped_profile_that_fits_into_shared_memory(self):
        for mib, name in ((8192, "fastdds.xml"), (512, "fastdds.xml"), (64, "fastdds_small.xml"), (None, "fastdds_small.xml")):
            with self.subTest(mib):
                found = types.SimpleNamespace(f_blocks=256 * (mib or 0), f_frsize=4096)
                with mock.patch("os.statvfs", return_value=found, side_effect=None if mib else FileNotFoundError):
                    _, environment = start_node()
                self.assertEqual(environment, {PROFILE: str(SHARE / "params" / name)})
                self.assertTrue((ROOT / "params" / name).exists())

    def test_a_profile_of_the_user_stays(self):
        _, environment = start_node(environment={PROFILE: "mine.xml"})
        self.assertEqual(environment, {PROFILE: "mine.xml"})


class Cameras(unittest.TestCase):
    """cameras.launch.py is monitor.launch.py with another params file."""

    def test_it_includes_the_launch_file_of_one_camera(self):
        params_file, include = described("cameras.launch.py")
        self.assertEqual(params_file.name, "params_file")
        self.assertEqual(params_file.default_value, str(SHARE / "params/cameras.yaml"))
        self.assertEqual(params_file.description, description()[0]["params_file"].description)
        (source,) = include.names
        self.assertEqual(source.names, (str(SHARE / "launch/monitor.launch.py"),))

    def test_the_params_file_agrees_with_the_table(self):
        (section,) = yaml.safe_load((ROOT / "params/cameras.yaml").read_text()).values()
        values = dict(section["ros__parameters"])
        cameras = values.pop("cameras")
        self.assertEqual(set(values), set(cameras), "a section for every camera, and nothing else")
        for camera in cameras:
            for name, value in values[camera].items():
                row = table()[name]
                self.assertTrue(row["per_camera"], f"{name} is the same for all cameras")
                self.assertNotEqual(value, row["default"], f"{camera}.{name} says what holds without it")
                self.assertIn(value, row.get("allowed", [value]), name)


class Lifecycle(unittest.TestCase):
    def started(self, **given):
        actions, context = started("lifecycle.launch.py", **given)
        return actions[:-1], actions[-1], context

    def test_arguments(self):
        arguments, ours = description("lifecycle.launch.py")[0], description()[0]
        self.assertEqual(set(arguments), set(ours) - {"autostart", "respawn"} | {"manage"})
        for name in set(arguments) - {"manage"}:
            self.assertEqual(arguments[name].default_value, ours[name].default_value)
            self.assertEqual(arguments[name].description, ours[name].description)
        self.assertEqual(arguments["manage"].default_value, "true")

    def test_the_node_waits_whatever_is_given(self):
        for given in ({}, {"manage": "false"}, {"autostart": "true", "respawn": "true"}):
            _, node, _ = self.started(**given)
            self.assertIsInstance(node, LifecycleNode)
            self.assertEqual(overrides_of(node)["autostart"], ("false", bool))
            self.assertFalse(node.respawn)

    def test_the_node_is_that_of_monitor_launch(self):
        _, node, context = self.started(namespace="front", device="cpu", image_topic="/camera")
        (ours,), our_context = started(namespace="front", device="cpu", image_topic="/camera")
        different = {"parameters", "respawn", "additional_env"}
        for name in set(vars(ours)) - different:
            self.assertEqual(getattr(node, name), getattr(ours, name), name)
        self.assertEqual(overrides_of(node), overrides_of(ours) | {"autostart": ("false", bool)})
        performed = [
            {name: value.perform(at) for name, value in one.additional_env.items()}
            for one, at in ((node, context), (ours, our_context))
        ]
        self.assertEqual(*performed)

    def test_it_is_configured_when_it_starts_and_activated_when_it_is_configured(self):
        handlers, node, _ = self.started()
        start, transition = (handler.names[0] for handler in handlers)
        self.assertIs(start.target_action, node)
        self.assertIs(transition.target_lifecycle_node, node)
        self.assertEqual((transition.start_state, transition.goal_state), ("configuring", "inactive"))
        events = [action.event for action in (*start.on_start, *transition.entities)]
        self.assertEqual([event.transition_id for event in events], [1, 3], "configure, activate")
        self.assertTrue(all(event.lifecycle_node_matcher is node for event in events))

    def test_another_manager_is_left_alone(self):
        self.assertEqual(self.started(manage="false")[0], [])


class Twins(unittest.TestCase):
    """monitor.launch.xml and monitor.launch.yaml take what monitor.launch.py takes and hand it over."""

    INCLUDED = "$(find-pkg-share activation_monitor)/launch/monitor.launch.py"

    def setUp(self):
        arguments = description()[0].items()
        share = "$(find-pkg-share activation_monitor)"
        self.declared = [
            (name, argument.default_value.replace(str(SHARE), share), argument.description)
            for name, argument in arguments
        ]
        self.handed = [(name, f"$(var {name})") for name, _ in arguments]

    def test_xml(self):
        root = ElementTree.parse(ROOT / "launch/monitor.launch.xml").getroot()
        *arguments, include = root
        self.assertEqual({argument.tag for argument in arguments}, {"arg"})
        fields = ("name", "default", "description")
        self.assertEqual([tuple(argument.get(field) for field in fields) for argument in arguments], self.declared)
        self.assertEqual((root.tag, include.tag, include.get("file")), ("launch", "include", self.INCLUDED))
        self.assertEqual([(argument.get("name"), argument.get("value")) for argument in include], self.handed)

    def test_yaml(self):
        *arguments, include = yaml.safe_load((ROOT / "launch/monitor.launch.yaml").read_text())["launch"]
        fields = ("name", "default", "description")
        self.assertEqual([tuple(entry["arg"][field] for field in fields) for entry in arguments], self.declared)
        self.assertEqual(include["include"]["file"], self.INCLUDED)
        self.assertEqual([(argument["name"], argument["value"]) for argument in include["include"]["arg"]], self.handed)


# Prints what a node would be given.
STUB = """#!{python}
import json, os, sys
files = [open(path).read() for path, before in zip(sys.argv[1:], sys.argv) if before == "--params-file"]
print("STUB", json.dumps([sys.argv[1:], files, os.environ.get("{profile}")]), flush=True)
"""
# ros2 launch without ros2cli.
LAUNCH = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource
arguments = [argument.split(":=", 1) for argument in sys.argv[2:]]
service = LaunchService(noninteractive=True)
service.include_launch_description(
    IncludeLaunchDescription(AnyLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)
)
sys.exit(service.run())
"""


# Not `launch`: the folder of that name would do for Python.
@unittest.skipUnless(importlib.util.find_spec("launch_ros"), "launch and launch_ros are not installed")
class RealLaunch(unittest.TestCase):
    """With the real packages, and a stub or the real one in the place of the node."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.share = self.folder / "share/activation_monitor"
        index = self.folder / "share/ament_index/resource_index/packages"
        self.node = self.folder / "lib/activation_monitor/monitor_node"
        for path in (self.share, index, self.node.parent):
            path.mkdir(parents=True)
        (index / "activation_monitor").touch()
        for name in ("launch", "params", "models"):
            (self.share / name).symlink_to(SHARE / name)
        self.node.write_text(STUB.format(python=sys.executable, profile=PROFILE))
        self.node.chmod(0o755)
        prefixes = f"{self.folder}:{os.environ.get('AMENT_PREFIX_PATH', '')}".rstrip(":")
        own = {"AMENT_PREFIX_PATH": prefixes, "ROS_LOG_DIR": str(self.folder), "TMPDIR": str(self.folder)}
        self.env = {**os.environ, **own, "PYTHONDONTWRITEBYTECODE": "1"}
        self.env.pop(PROFILE, None)

    def start(self, file, *arguments):
        """A running launch file and the file with its output."""
        command = [sys.executable, "-c", LAUNCH, str(self.share / "launch" / file), *arguments]
        output = (self.folder / "output").open("w+")
        self.addCleanup(output.close)
        process = subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.addCleanup(self.end, process)
        return process, output

    def end(self, process):
        """As Ctrl-C does; the exit code."""
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            return process.wait(30)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def text(self, output):
        output.seek(0)
        return output.read()

    def wait_for(self, output, pattern, count=1, timeout_secs=60):
        """Until a pattern is in the output so often."""
        deadline = time.monotonic() + timeout_secs
        while len(re.findall(pattern, self.text(output))) < count:
            self.assertLess(time.monotonic(), deadline, f"{pattern} is not {count} times in\n{self.text(output)}")
            time.sleep(0.1)

    def launch(self, *arguments, file="monitor.launch.py"):
        """Arguments, params files and profile that the node was given."""
        process, output = self.start(file, *arguments, "respawn:=false")
        self.assertEqual(process.wait(60), 0, self.text(output))
        (line,) = (line for line in self.text(output).splitlines() if "STUB" in line)
        return json.loads(line.split("STUB ", 1)[1])

    def test_arguments_reach_the_node(self):
        given = ["image_topic:=/camera", "viewer:=off", "device:=7", "use_sim_time:=True", "namespace:=front"]
        given += ["cameras:=on,rear", "log_level:=debug"]
        for file in ("monitor.launch.py", "monitor.launch.xml", "monitor.launch.yaml"):
            with self.subTest(file):
                arguments, files, profile = self.launch(*given, file=file)
                self.assertEqual(arguments[:3], ["--ros-args", "--log-level", "debug"])
                self.assertIn("__node:=monitor", arguments)
                self.assertIn("__ns:=/front", arguments)
                self.assertEqual(files[0], (SHARE / "params/monitor.yaml").read_text())
                ((node, sections),) = yaml.full_load(files[1]).items()  # launch_ros writes lists as tuples
                self.assertEqual(node, "/front/monitor")
                expected = {"device": "7", "image_topic": "/camera", "use_sim_time": True, "viewer": "off"}
                expected |= {"cameras": ["on", "rear"]} | {
                    name: str(self.share / path) for name, path in SHIPPED.items()
                }
                sections["ros__parameters"]["cameras"] = list(sections["ros__parameters"]["cameras"])
                self.assertEqual(sections["ros__parameters"], expected)
                names = [str(self.share / "params" / name) for name in ("fastdds.xml", "fastdds_small.xml")]
                self.assertIn(profile, names, "depends on the shared memory of this machine")

    def test_without_arguments(self):
        for file in ("monitor.launch.py", "monitor.launch.xml", "monitor.launch.yaml"):
            with self.subTest(file):
                arguments, files, _ = self.launch(file=file)
                self.assertIn("__ns:=/", arguments)
                expected = [f"    {name}: {self.share / path}" for name, path in SHIPPED.items()]
                self.assertEqual(files[1].splitlines(), ["/monitor:", "  ros__parameters:", *expected])

    def test_cameras(self):
        _, files, _ = self.launch("device:=cpu", file="cameras.launch.py")
        self.assertEqual(files[0], (SHARE / "params/cameras.yaml").read_text())
        self.assertEqual(yaml.safe_load(files[1])["/monitor"]["ros__parameters"]["device"], "cpu")

    def test_a_node_that_ends_comes_back(self):
        process, output = self.start("monitor.launch.py")
        self.wait_for(output, "STUB", count=2)
        self.end(process)

    def start_real_node(self, *arguments):
        self.node.unlink()
        self.node.symlink_to(NODE)
        return self.start("lifecycle.launch.py", "image_topic:=/test_launch", *arguments)

    def test_the_launch_system_leads_the_real_node_to_its_active_state(self):
        process, output = self.start_real_node("cameras:=front,rear")
        self.wait_for(output, r"listening to /(front|rear)/test_launch", count=2)
        self.end(process)

    def test_another_manager_finds_the_real_node_unconfigured(self):
        process, output = self.start_real_node("manage:=false")
        self.wait_for(output, r"\[monitor_node-1\]: process started")
        time.sleep(5)
        self.assertNotIn("died", self.text(output))
        self.assertNotRegex(self.text(output), r"model \S+ runs on|listening to")
        self.end(process)


if __name__ == "__main__":
    unittest.main()
