"""The launch file: what it declares, and the node that it starts.

The packages launch and launch_ros are not among the ROS 2 wheels, so small fakes of them record what the launch file
does. A machine that has the real ones runs the launch file with those, too.
"""

import importlib.util
import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
import types
import unittest
from unittest import mock

from test_parameters import ROOT, table

FILE = ROOT / "launch/monitor.launch.py"
# The folders of the checkout lie as they do in the share folder of the package.
SHARE = ROOT
# Arguments that are no parameters of the node.
OTHERS = {"params_file", "namespace", "log_level"}
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


class Substitution:
    def perform(self, context):
        raise NotImplementedError


class LaunchConfiguration(Substitution):
    def __init__(self, name):
        self.name = name

    def perform(self, context):
        return context.launch_configurations[self.name]


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
        "launch.actions": {"DeclareLaunchArgument": Argument, "OpaqueFunction": Start},
        "launch.substitutions": {
            "EnvironmentVariable": EnvironmentVariable,
            "LaunchConfiguration": LaunchConfiguration,
            "TextSubstitution": TextSubstitution,
        },
        "launch_ros": {},
        "launch_ros.actions": {"Node": Node},
        "launch_ros.parameter_descriptions": {"ParameterValue": ParameterValue},
        "ament_index_python": {},
        "ament_index_python.packages": {"get_package_share_directory": lambda package: str(SHARE)},
    }
    modules = {name: types.ModuleType(name) for name in content}
    for name, values in content.items():
        vars(modules[name]).update(values)
    return modules


def description():
    """The declared arguments by name, and the function that starts the node."""
    with mock.patch.dict(sys.modules, fakes()):
        actions = runpy.run_path(str(FILE))["generate_launch_description"]()
    arguments = {action.name: action for action in actions if isinstance(action, Argument)}
    (start,) = (action for action in actions if isinstance(action, Start))
    return arguments, start


def start_node(environment=(), **given):
    """The node that is started when these arguments are given, and its environment variables."""
    arguments, start = description()
    values = {name: argument.default_value for name, argument in arguments.items()} | given
    context = types.SimpleNamespace(launch_configurations=values, environment=dict(environment))
    (node,) = start.function(context, *start.args)
    return node, {name: value.perform(context) for name, value in node.additional_env.items()}


def overrides_of(node):
    """Parameters that win over the params file: text and type by name."""
    return {name: (value.text, value.type) for values in node.parameters[1:] for name, value in values.items()}


def shipped(*names):
    return {name: (str(SHARE / SHIPPED[name]), str) for name in names}


class Declared(unittest.TestCase):
    def setUp(self):
        self.arguments, _ = description()

    def test_names(self):
        parameters = "model monitor image_topic image_transport regions_topic device viewer use_sim_time".split()
        self.assertEqual(set(self.arguments), set(parameters) | OTHERS)

    def test_defaults_leave_the_params_file_alone(self):
        for name in set(self.arguments) - {"params_file", "log_level"}:
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
        expected = {name: types_of_rows[table()[name]["type"]] for name in set(description()[0]) - OTHERS}
        given = {name: "true" for name in expected}
        actual = {name: value_type for name, (_, value_type) in overrides_of(start_node(**given)[0]).items()}
        self.assertEqual(actual, expected)


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
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [argument.split(":=", 1) for argument in sys.argv[2:]]
service = LaunchService(noninteractive=True)
source = PythonLaunchDescriptionSource(sys.argv[1])
service.include_launch_description(IncludeLaunchDescription(source, launch_arguments=arguments))
sys.exit(service.run())
"""


# Not `launch`: the folder of that name would do for Python.
@unittest.skipUnless(importlib.util.find_spec("launch_ros"), "launch and launch_ros are not installed")
class RealLaunch(unittest.TestCase):
    """With the real packages and a stub in the place of the node."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.share = self.folder / "share/activation_monitor"
        index = self.folder / "share/ament_index/resource_index/packages"
        executables = self.folder / "lib/activation_monitor"
        for path in (self.share, index, executables):
            path.mkdir(parents=True)
        (index / "activation_monitor").touch()
        for name in ("launch", "params"):
            (self.share / name).symlink_to(SHARE / name)
        (executables / "monitor_node").write_text(STUB.format(python=sys.executable, profile=PROFILE))
        (executables / "monitor_node").chmod(0o755)

    def launch(self, *arguments):
        """Arguments, params files and profile that the node was given."""
        prefixes = f"{self.folder}:{os.environ.get('AMENT_PREFIX_PATH', '')}".rstrip(":")
        env = {**os.environ, "AMENT_PREFIX_PATH": prefixes, "ROS_LOG_DIR": str(self.folder), "TMPDIR": str(self.folder)}
        env.pop(PROFILE, None)
        command = [sys.executable, "-c", LAUNCH, str(self.share / "launch/monitor.launch.py"), *arguments]
        result = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        (line,) = (line for line in result.stdout.splitlines() if "STUB" in line)
        return json.loads(line.split("STUB ", 1)[1])

    def test_arguments_reach_the_node(self):
        given = ["image_topic:=/camera", "viewer:=off", "device:=7", "use_sim_time:=True", "namespace:=front"]
        arguments, files, profile = self.launch(*given, "log_level:=debug")
        self.assertEqual(arguments[:3], ["--ros-args", "--log-level", "debug"])
        self.assertIn("__node:=monitor", arguments)
        self.assertIn("__ns:=/front", arguments)
        self.assertEqual(files[0], (SHARE / "params/monitor.yaml").read_text())
        self.assertEqual(files[1].splitlines()[:2], ["/front/monitor:", "  ros__parameters:"])
        for line in ("device: '7'", "image_topic: /camera", "use_sim_time: true", "viewer: 'off'"):
            self.assertIn(f"    {line}\n", files[1])
        names = [str(self.share / "params" / name) for name in ("fastdds.xml", "fastdds_small.xml")]
        self.assertIn(profile, names, "depends on the shared memory of this machine")

    def test_without_arguments(self):
        arguments, files, _ = self.launch()
        self.assertIn("__ns:=/", arguments)
        expected = [f"    {name}: {self.share / path}" for name, path in SHIPPED.items()]
        self.assertEqual(files[1].splitlines(), ["/monitor:", "  ros__parameters:", *expected])


if __name__ == "__main__":
    unittest.main()
