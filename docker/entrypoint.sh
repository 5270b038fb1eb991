#!/usr/bin/env bash
# Runs the command of a container with ROS 2 and this package sourced.
set -e
source /opt/activation_monitor/setup.bash
exec "$@"
