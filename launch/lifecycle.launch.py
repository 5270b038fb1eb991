"""Starts the monitor as a managed node that waits to be configured and activated.

    ros2 launch activation_monitor lifecycle.launch.py image_topic:=/camera/image_raw
    ros2 launch activation_monitor lifecycle.launch.py manage:=false

With manage:=true the launch system itself is the manager: it configures the node, activates it when that went well, and
shows every transition. With manage:=false another one is, such as nav2's (docs/integration.md has its parameters). All
arguments of monitor.launch.py are taken here, too, but autostart, and respawn: for some 20 s DDS shows the services of a
process that was killed, and a manager that calls one of them waits for an answer for ever.
"""

import pathlib
import runpy

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

MONITOR = runpy.run_path(str(pathlib.Path(__file__).with_name("monitor.launch.py")))
NOT_HERE = ("autostart", "respawn")


def generate_launch_description():
    share = pathlib.Path(get_package_share_directory(MONITOR["PACKAGE"]))
    arguments = [argument for argument in MONITOR["arguments"](share) if argument.name not in NOT_HERE]
    manage = MONITOR["argument"](
        "manage", "true", "Configure and activate the node from here; false: leave that to another lifecycle manager."
    )
    return LaunchDescription([*arguments, manage, OpaqueFunction(function=start, args=[share])])


def start(context, share):
    """The node, and before it what reacts to its states."""
    fields = MONITOR["fields"](context, share, autostart="false") | {"respawn": False}
    node = LifecycleNode(**fields)
    manage = LaunchConfiguration("manage").perform(context)
    return [*(transitions(node) if manage.lower() == "true" else ()), node]


def transitions(node):
    """Configures the node once its process has started, and activates it once it is configured."""
    configure, activate = change(node, Transition.TRANSITION_CONFIGURE), change(node, Transition.TRANSITION_ACTIVATE)
    yield RegisterEventHandler(OnProcessStart(target_action=node, on_start=[configure]))
    configured = OnStateTransition(
        target_lifecycle_node=node, start_state="configuring", goal_state="inactive", entities=[activate]
    )
    yield RegisterEventHandler(configured)


def change(node, transition):
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))
