"""Sends large images to a node on a machine with little shared memory; prints what the node says as JSON.

    python tests/small_memory.py PROFILE

PROFILE is the transport profile of the node; empty: it has none in its environment. The camera has the small one. Run by
test_diagnostics.py in a mount namespace of its own.
"""

import json
import os
import sys
import time

IMAGES = 40
SMALL = "params/fastdds_small.xml"


def main(profile):
    # Read when rclpy makes its participant.
    os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = SMALL
    import numpy
    import rclpy
    from node_client import Client, NodeProcess, raw_image
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    rclpy.init()
    environment = {"FASTRTPS_DEFAULT_PROFILES_FILE": profile or None, "FASTDDS_DEFAULT_PROFILES_FILE": None}
    process, client = NodeProcess(environment=environment, diagnostics_period_secs=0.2), Client(Image, qos_profile_sensor_data)
    try:
        client.wait_for(process, probe=False)
        image = raw_image(numpy.full((720, 1280, 3), 90, numpy.uint8))
        for _ in range(IMAGES):
            client.send(image)
            client.spin_for(0.1)
        end = time.monotonic() + 10.0
        while client.count("received") < IMAGES and time.monotonic() < end:
            client.spin_for(0.2)
        status = client.statuses["node"]
        values = {pair.key: pair.value for pair in status.values}
        said = {"level": status.level[0], "message": status.message, "log": process.log()}
        print(json.dumps({"sent": IMAGES, "received": client.count("received"), **said, **values}))
    finally:
        process.kill()
        client.close()
        rclpy.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
