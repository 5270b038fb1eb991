"""Starts the monitor of one camera.

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

# The arguments that are parameters of the node, with the descriptions of its table (src/node/parameters/table.rs).
PARAMETERS = {
    "model": "Folder of the model (model.pt and model.json); required.",
    "monitor": "Monitor file fitted on that model; empty: classify only, every verdict is UNKNOWN.",
    "image_topic": "Topic of the camera images, remappable.",
    "image_transport": (
        "raw: sensor_msgs/Image; compressed: sensor_msgs/CompressedImage (JPEG or PNG) on exactly image_topic."
    ),
    "regions_topic": "Topic of regions to judge one by one; empty: judge the whole image.",
    "device": "Where the model runs: auto, cpu or cuda:N; auto takes the first GPU there is.",
    "viewer": "Live view in rerun: save to a file, serve to viewers, or connect to a running viewer.",
    "use_sim_time": "Take the node's time from /clock, as for replayed bags.",
}

# Used when neither the command line nor params_file names a model. The monitor fits no other model.
SHIPPED = {"model": "models/traffic_signs", "monitor": "models/traffic_signs/traffic_signs.monitor"}
NOT_GIVEN = {
    "model": f"as in params_file; named nowhere: the shipped {SHIPPED['model']}.",
    "monitor": "as in params_file; with the shipped model, if named nowhere: the one shipped with it.",
}

# Three processes with the segments of params/fastdds.xml, each of which takes a little more than its size; a container of
# Docker has 64 MB.
ROOMY_BYTES = 3 * 134_217_728 * 105 // 100


def generate_launch_description():
    share = pathlib.Path(get_package_share_directory(PACKAGE))
    parameters = [parameter_argument(name, description) for name, description in PARAMETERS.items()]
    return LaunchDescription([*parameters, *other_arguments(share), OpaqueFunction(function=start, args=[share])])


def parameter_argument(name, description):
    """Empty means not given, as `name:=` cannot be written on the command line anyway."""
    not_given = NOT_GIVEN.get(name, "as in params_file.")
    return DeclareLaunchArgument(name, default_value="", description=f"{description} Not given: {not_given}")


def other_arguments(share):
    yield DeclareLaunchArgument(
        "params_file",
        default_value=str(share / "params/monitor.yaml"),
        description="YAML file with the parameters of the node. Start from a copy of the default.",
    )
    yield DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node and its topics.")
    yield DeclareLaunchArgument(
        "log_level", default_value="info", description="Lowest level that is logged: debug, info, warn, error or fatal."
    )


def start(context, share):
    """The node, once the values of the arguments are known."""
    params_file = value_of("params_file", context)
    given = {name: value for name in PARAMETERS if (value := value_of(name, context))}
    return [
        Node(
            package=PACKAGE,
            executable="monitor_node",
            name="monitor",
            # Given even when it is empty: launch_ros then addresses the overrides to this very node, and they win over
            # a section for this node in params_file, not only over its wildcards.
            namespace=value_of("namespace", context),
            parameters=[params_file, *overrides(given | shipped(share, params_file, given))],
            ros_arguments=["--log-level", value_of("log_level", context)],
            additional_env=transport_profile(share),
            output="screen",
        )
    ]


def value_of(name, context):
    return LaunchConfiguration(name).perform(context)


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
    return ParameterValue(TextSubstitution(text=value), value_type=bool if name == "use_sim_time" else str)


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
