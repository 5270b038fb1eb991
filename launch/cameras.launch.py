"""Starts one node for several cameras: one model in memory, one answer per camera.

    ros2 launch activation_monitor cameras.launch.py params_file:=my_cameras.yaml
    ros2 launch activation_monitor cameras.launch.py cameras:=front,rear image_topic:=image_raw

The first takes cameras, topics and regions from a copy of params/cameras.yaml. The second takes the topics
/front/image_raw and /rear/image_raw. All arguments of monitor.launch.py are taken here, too.
"""

import pathlib

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

PACKAGE = "activation_monitor"


def generate_launch_description():
    share = pathlib.Path(get_package_share_directory(PACKAGE))
    params_file = DeclareLaunchArgument(
        "params_file",
        default_value=str(share / "params/cameras.yaml"),
        description="YAML file with the parameters of the node. Start from a copy of the default.",
    )
    # It finds the value of params_file in place and declares all other arguments.
    one_camera = PythonLaunchDescriptionSource(str(share / "launch/monitor.launch.py"))
    return LaunchDescription([params_file, IncludeLaunchDescription(one_camera)])
