"""Starts the monitor of one camera, or of several with cameras:=front,rear.

    ros2 launch activation_monitor monitor.launch.py image_topic:=/camera/image_raw
    ros2 launch activation_monitor monitor.launch.py namespace:=front model:=my_model monitor:=my.monitor viewer:=serve

What is given on the command line wins over params_file. An argument that is not given leaves params_file alone.
"""

import os
import pathlib

import yaml
from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, TextSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

PACKAGE = "activation_monitor"
RESPAWN_DELAY_SECS = 2.0

# The arguments that are parameters of the node, with the descriptions of its table (src/node/parameters/table.rs).
PARAMETERS = {
    "model": "Folder of the model (model.pt and model.json); required.",
    "monitor": "Monitor file fitted on that model; empty: classify only, every verdict is UNKNOWN.",
    "device": "Where the model runs: auto, cpu or cuda:N; auto takes the first GPU there is.",
    "cameras": (
        "Names of the cameras, whose answers come under ~/<camera>/; empty: one camera, with answers under ~/."
    ),
    "image_topic": "Topic of the camera images, remappable; with several cameras <camera>/<image_topic>.",
    "image_transport": (
        "raw: sensor_msgs/Image; compressed: sensor_msgs/CompressedImage (JPEG or PNG) on exactly image_topic."
    ),
    "regions_topic": (
        "Topic of regions to judge one by one; empty: judge the whole image; "
        "with several cameras <camera>/<regions_topic>."
    ),
    "viewer": "Live view in rerun: save to a file, serve to viewers, or connect to a running viewer.",
    "autostart": "Configure and activate at the start; false: wait for a lifecycle manager.",
    "use_sim_time": "Take the node's time from /clock, as for replayed bags.",
}
BOOLS = {"autostart", "use_sim_time"}

# Used when neither the command line nor params_file names a model. The monitor fits no other model.
SHIPPED = {"model": "models/traffic_signs", "monitor": "models/traffic_signs/traffic_signs.monitor"}
NOT_GIVEN = {
    "model": f"as in params_file; named nowhere: the shipped {SHIPPED['model']}.",
    "monitor": "as in params_file; with the shipped model, if named nowhere: the one shipped with it.",
    "cameras": "as in params_file. Separated by commas.",
}

# Three processes with the segments of params/fastdds.xml, each of which takes a little more than its size; a container of
# Docker has 64 MB.
ROOMY_BYTES = 3 * 134_217_728 * 105 // 100


def generate_launch_description():
    share = pathlib.Path(get_package_share_directory(PACKAGE))
    return LaunchDescription([*arguments(share), OpaqueFunction(function=start, args=[share])])


def arguments(share):
    """What can be given on the command line. lifecycle.launch.py declares most of these, too."""
    yield from (parameter_argument(name, description) for name, description in PARAMETERS.items())
    yield from (argument(name, *rest) for name, *rest in others(share))


def parameter_argument(name, description):
    """Empty means not given, as `name:=` cannot be written on the command line anyway."""
    return argument(name, "", f"{description} Not given: {NOT_GIVEN.get(name, 'as in params_file.')}")


def argument(name, default, description):
    return DeclareLaunchArgument(name, default_value=default, description=description)


def others(share):
    """Name, default and description of the arguments that are no parameters of the node."""
    params_file = str(share / "params/monitor.yaml")
    yield "params_file", params_file, "YAML file with the parameters of the node. Start from a copy of the default."
    yield "namespace", "", "Namespace of the node and its topics."
    yield "respawn", "true", f"Start the node again {RESPAWN_DELAY_SECS:.0f} s after it ended, for whatever reason."
    yield "log_level", "info", "Lowest level that is logged: debug, info, warn, error or fatal."


def start(context, share):
    """The node, once the values of the arguments are known."""
    return [Node(**fields(context, share))]


def fields(context, share, **fixed):
    """Everything about the node. `fixed` parameters are not for the user to choose."""
    params_file = value_of("params_file", context)
    given = {name: value for name in PARAMETERS if (value := value_of(name, context))} | fixed
    return {
        "package": PACKAGE,
        "executable": "monitor_node",
        "name": "monitor",
        # Given even when it is empty: launch_ros then addresses the overrides to this very node, and they win over
        # a section for this node in params_file, not only over its wildcards.
        "namespace": value_of("namespace", context),
        "parameters": [params_file, *overrides(given | shipped(share, params_file, given))],
        "ros_arguments": ["--log-level", value_of("log_level", context)],
        "additional_env": transport_profile(share),
        "respawn": LaunchConfiguration("respawn"),
        "respawn_delay": RESPAWN_DELAY_SECS,
        "output": "screen",
    }


def value_of(name, context):
    """Empty for what a launch file that shares this one does not declare."""
    return LaunchConfiguration(name, default="").perform(context)


def shipped(share, params_file, given):
    """The shipped model and monitor, as far as they are named nowhere else."""
    named = named_in(yaml.safe_load(pathlib.Path(params_file).read_text())).union(given)
    if "model" in named:
        return {}
    return {name: str(share / path) for name, path in SHIPPED.items() if name not in named}


def named_in(sections):
    """Names of the parameters that a params file gives a value, in the section of whichever node."""
    if not isinstance(sections, dict):
        return set()
    here = sections.get("ros__parameters") or {}
    return {name for name, value in here.items() if value}.union(*map(named_in, sections.values()))


def overrides(values):
    """As a list, as a dictionary without parameters would be an error."""
    typed_values = {name: typed(name, value) for name, value in values.items()}
    return [typed_values] if typed_values else []


def typed(name, value):
    """With its type, as YAML would take the text `off` for a truth value and `7` for a number."""
    if name == "cameras":
        return [camera.strip() for camera in value.split(",")]
    return ParameterValue(TextSubstitution(text=value), value_type=bool if name in BOOLS else str)


def transport_profile(share):
    """Without it Fast DDS loses most large images. A profile in the environment is the user's choice and stays."""
    name = "FASTRTPS_DEFAULT_PROFILES_FILE"
    profile = "fastdds.xml" if shared_memory_bytes() >= ROOMY_BYTES else "fastdds_small.xml"
    return {name: EnvironmentVariable(name, default_value=str(share / "params" / profile))}


def shared_memory_bytes():
    """Size of what the segments of the transport lie in."""
    try:
        found = os.statvfs("/dev/shm")
    except OSError:
        return 0
    return found.f_blocks * found.f_frsize
