"""What the node says of itself on /diagnostics and in the log, seen from outside: never well while it is not."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import faulty_model
import numpy
import rclpy
from activation_monitor.msg import OodConfidence
from builtin_interfaces.msg import Time
from node_case import OwnNode, setUpModule, tearDownModule
from node_client import ROOT, Client, NodeProcess, at, compressed, png, raw_image, stop_sign
from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import SetBool

OK, WARN, ERROR, STALE = (bytes([level]) for level in range(4))
LOAD_SECS = 60.0
QUIET_SECS = 10.5  # a status says something of one level once in ten seconds
FAST = {"diagnostics_period_secs": 0.2}
SMALL_MEMORY = ROOT / "tests/small_memory.py"


def white(side=8):
    return raw_image(numpy.full((side, side, 3), 255, numpy.uint8))


def black(side=8):
    return raw_image(numpy.zeros((side, side, 3), numpy.uint8))


def ros_time(offset_secs=0.0):
    """Now, as a stamp."""
    return at(time.time() + offset_secs)


class WithNode(OwnNode):
    def faulty(self, fault, **parameters):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        model = faulty_model.write(folder.name, fault)
        client = self.run_node(model=model, monitor="", **parameters)
        client.wait_for(self.process)
        self.assertEqual(client.ask(black())[0].results[0].class_name, "dark")
        return client

    def says(self, task, level, *words, within=20.0):
        """Waits until the status of a task has that level, with these words in its message."""

        def found():
            status = self.client.statuses.get(task)
            return status and status.level == level and all(word in status.message for word in words)

        try:
            self.client.spin_until(found, within, f"{task}: level {level} with {words}")
        except TimeoutError as error:
            raise AssertionError(f"{error}; now {self.client.statuses.get(task)}\n{self.process.log()}") from None
        return self.client.statuses[task]

    def stream(self, secs, image, rate_hz=10.0, stamp=ros_time, publish=None):
        """Publishes an image again and again."""
        publish, end = publish or self.client.send, time.monotonic() + secs
        sent = 0
        while time.monotonic() < end:
            publish(image, stamp())
            sent += 1
            self.client.spin_for(1.0 / rate_hz)
        return sent

    def lines(self, words):
        return [line for line in self.process.log().splitlines() if words in line]


class Inference(WithNode):
    def test_a_model_that_hangs_is_an_error_within_two_seconds(self):
        client = self.faulty(faulty_model.HANGS_ON_WHITE)
        start = time.monotonic()
        for _ in range(3):
            client.send(white(), ros_time())
            client.spin_for(0.1)
        self.says("inference", ERROR, "has been there for", "does the model hang?")
        self.assertLess(time.monotonic() - start, 2.0 + 1.0, "a second for a busy machine")
        self.assertGreaterEqual(float(client.value("inference", "age_of_work_secs")), 1.0)
        self.stream(2.0, white())
        self.says("inference", ERROR)
        self.says("camera", ERROR, "none has been answered for")
        self.assertEqual(len(self.lines("does the model hang?")), 1, self.process.log())
        start = time.monotonic()
        self.assertEqual(self.process.end(), 0, self.process.log())
        self.assertLess(time.monotonic() - start, 10.0)

    def test_a_late_answer_is_an_error_once(self):
        client = self.faulty(faulty_model.SLOW_ON_WHITE, deadline_secs=0.05)
        stamp = client.send(white(), ros_time())
        self.says("inference", ERROR, "deadline_secs is 0.05")
        client.spin_until(lambda: stamp in client.judged, 60.0, "the answer")
        self.says("inference", ERROR, "an answer took")
        self.says("inference", WARN, "no monitor loaded")

    def test_a_model_that_throws_makes_unknown_results_with_the_reason(self):
        client = self.faulty(faulty_model.THROWS_ON_WHITE, **FAST)
        client.ask(black(), stamp=ros_time())
        self.says("camera", OK, "images arrive")  # so the status before told of that image
        _, judged = client.ask(white(), stamp=ros_time())
        self.assertEqual(judged.results[0].verdict, OodConfidence.UNKNOWN)
        self.says("camera", WARN, "1 of 1 results were UNKNOWN since the last status", "shape")
        self.assertIn("shape", client.value("camera", "unknown_newest_reason"))
        self.assertEqual(client.ask(black(), stamp=ros_time())[0].results[0].class_name, "dark")

    def test_times_of_the_stages_and_rates(self):
        client = self.run_node()
        client.wait_for(self.process)
        self.stream(4.0, raw_image(stop_sign()))
        times = lambda key: [float(client.value("inference", f"{key}_p{q}_ms")) for q in (50, 95, 99)]
        for key in ("latency", "answer", "receive", "wait_turn", "decode", "infer", "monitor", "publish"):
            low, middle, high = times(key)
            self.assertTrue(0.0 <= low <= middle <= high, f"{key}: {low} {middle} {high}")
        self.assertLessEqual(times("decode")[0], times("answer")[2])
        self.assertTrue(4.0 < float(client.value("camera", "received_hz")) < 11.0)
        self.assertTrue(0.0 < float(client.value("inference", "rate_hz")) < 11.0)
        self.assertGreater(client.count("recent_results"), 10)
        self.says("camera", OK, "images arrive on /camera")
        self.says("inference", OK, "judging on")


class Camera(WithNode):
    def test_a_camera_whose_every_image_is_dropped_is_not_ok(self):
        client = self.run_node(**FAST)
        client.wait_for(self.process)
        self.stream(1.0, raw_image(stop_sign()))
        self.says("camera", OK)
        client.call(SetBool, "enable", SetBool.Request(data=False))
        self.stream(4.0, raw_image(stop_sign()))
        self.says("camera", WARN, "every image was dropped", "judging is switched off")

    def test_the_newest_reason_is_in_message_and_log(self):
        client = self.run_node(**FAST)
        client.wait_for(self.process, probe=False)
        self.stream(QUIET_SECS, raw_image(stop_sign()), rate_hz=2.0)  # slower than the statuses
        self.says("camera", OK, "images arrive")
        client.send(raw_image(stop_sign(), "strange_encoding"), ros_time())
        self.says("camera", WARN, "1 of 1 results were UNKNOWN since the last status", "strange_encoding")
        self.says("camera", OK)
        self.assertTrue(self.lines("camera: 1 of 1 results were UNKNOWN"), self.process.log())

    def test_stamps_of_the_past_and_of_the_future_warn(self):
        client = self.run_node(stale_after_secs=2.0, **FAST)
        client.wait_for(self.process)
        for offset, words in ((-10.0, "the newest stamp was 10."), (3600.0, "the newest stamp is 3")):
            for _ in range(5):
                client.send(raw_image(stop_sign()), ros_time(offset))
                client.spin_for(0.1)
            status = self.says("camera", WARN, words)
        self.assertIn("in the future", status.message)

    def test_silence_is_said_once_with_the_name_of_the_camera(self):
        client = self.run_node(stale_after_secs=0.5, **FAST)
        client.wait_for(self.process, probe=False)
        client.ask(raw_image(stop_sign()), stamp=ros_time())
        self.says("camera", STALE, "no image on /camera for")
        client.spin_for(3.0)
        self.assertEqual(len(self.lines("camera: no image on /camera for")), 1, self.process.log())

    def test_two_publishers_are_named(self):
        client = self.run_node(**FAST)
        other = rclpy.create_node("second_driver", namespace="/rear")
        self.addCleanup(other.destroy_node)
        publisher = other.create_publisher(Image, "/camera", 10)
        client.wait_for(self.process)
        client.ask(raw_image(stop_sign()), stamp=ros_time())
        status = self.says("camera", WARN, "2 publishers on /camera", "/rear/second_driver")
        self.assertIn("/client_", status.message)
        other.destroy_publisher(publisher)
        self.stream(0.5, raw_image(stop_sign()))
        self.says("camera", OK)


class Hints(WithNode):
    """Nobody publishes on the topic; what is there instead?"""

    def publish_beside(self, message_type, topic, listens_to, **parameters):
        client = self.run_node(image_topic=listens_to, **FAST, **parameters)
        client.node.create_publisher(message_type, topic, 10)
        return client

    def other_process(self):
        """A node as in another process: DDS lets none have two types on one topic."""
        context = rclpy.Context()
        context.init()
        self.addCleanup(context.try_shutdown)
        node = rclpy.create_node("other", context=context)
        self.addCleanup(node.destroy_node)
        return node

    def test_compressed_images_beside_raw_ones(self):
        self.publish_beside(CompressedImage, "/front/image/compressed", "/front/image")
        self.says("camera", WARN, "nobody publishes on /front/image", within=LOAD_SECS)
        self.says("camera", WARN, "set image_topic to /front/image/compressed and image_transport to compressed")
        self.assertTrue(self.lines("camera: nobody publishes on /front/image"), self.process.log())

    def test_raw_images_beside_compressed_ones(self):
        self.publish_beside(Image, "/front/image", "/front/image/compressed", image_transport="compressed")
        self.says("camera", WARN, "set image_topic to /front/image and image_transport to raw", within=LOAD_SECS)

    def test_other_topics_with_images_are_named(self):
        client = self.publish_beside(Image, "/cam/image_raw", "/nobody")
        client.node.create_publisher(Image, "/two/types", 10)
        self.other_process().create_publisher(CompressedImage, "/two/types", 10)
        self.says("camera", WARN, "/cam/image_raw", "(sensor_msgs/msg/Image) exist", within=LOAD_SECS)


class Node(WithNode):
    def test_simulated_time_without_a_clock_warns(self):
        client = self.run_node(use_sim_time=True, **FAST)
        self.says("node", WARN, "no time has come on /clock", "nobody publishes there", within=LOAD_SECS)
        self.assertEqual(client.value("camera", "stamp_age_secs"), "")
        clock = client.node.create_publisher(Clock, "/clock", 10)
        for _ in range(20):
            clock.publish(Clock(clock=Time(sec=5)))
            client.spin_for(0.05)
        self.says("node", OK)
        self.assertEqual(client.value("node", "ros_time_secs"), "5.000")

    def test_two_nodes_of_one_name_warn(self):
        self.run_node(autostart=False, **FAST)
        self.says("node", OK, "runs as /monitor", within=LOAD_SECS)
        second = NodeProcess(autostart=False)
        self.addCleanup(second.kill)
        self.says("node", WARN, "another node is called /monitor", within=LOAD_SECS)
        self.assertEqual(second.end(signal.SIGTERM), 0)
        self.says("node", OK)

    def test_names_are_those_of_the_node(self):
        arguments = ["-r", "__ns:=/front", "-r", "__node:=signs"]
        lines, durable = [], QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        client = Client()
        client.node.create_subscription(Log, "/rosout", lines.append, durable)
        self.run_node(client, arguments=arguments, strange_parameter=1, **FAST)
        self.says("camera", WARN, "no image yet", within=LOAD_SECS)
        for task in ("camera", "inference", "viewer", "node"):
            status = client.statuses[task]
            self.assertEqual((status.name, status.hardware_id), (f"/front/signs: {task}", "/front/signs"))
        self.assertTrue(self.lines("[front.signs]"), self.process.log())
        self.assertFalse(self.lines("[monitor]"), self.process.log())
        client.spin_until(lambda: any("strange_parameter" in line.msg for line in lines), what="the first line on /rosout")
        ours = [line for line in lines if "activation_monitor" in line.function]
        self.assertEqual({line.name for line in ours}, {"front.signs"})

    def test_every_task_is_there_in_every_state(self):
        client = self.run_node(autostart=False, cameras="[front, rear]", **FAST)
        self.says("inference", OK, "unconfigured: no image is judged", within=LOAD_SECS)
        self.says("camera front", OK, "unconfigured: not subscribed to /front/camera")
        self.says("camera rear", OK, "unconfigured: not subscribed to /rear/camera")
        self.says("viewer", OK, "off")
        self.says("node", OK)
        self.assertEqual(client.value("inference", "state"), "unconfigured")

    def test_a_configuration_that_fails_is_an_error_with_the_reason(self):
        self.run_node(model="/nowhere", **FAST)
        self.says("inference", ERROR, "unconfigured: ", "/nowhere", within=LOAD_SECS)
        self.says("camera", OK, "unconfigured: not subscribed to /camera")


class Transport(unittest.TestCase):
    """In a mount namespace with 64 MB of shared memory, as Docker gives a container."""

    def in_small_memory(self, command, environment=()):
        """Output of a command; None where no namespace can be made."""
        script = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'
        variables = {name: value for name, value in (os.environ | dict(environment)).items() if value is not None}
        for options in (["-m"], ["-Urm"]):
            if subprocess.run(["unshare", *options, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True).returncode:
                continue
            whole = ["unshare", *options, "bash", "-c", script, "bash", *command]
            result = subprocess.run(whole, capture_output=True, text=True, timeout=150, env=variables, cwd=ROOT)
            self.assertEqual(result.returncode, 0, result.stderr[-3000:] + result.stdout[-3000:])
            return result.stdout
        self.skipTest("this machine lets nobody make a mount namespace")

    def drive(self, node_profile):
        output = self.in_small_memory([sys.executable, str(SMALL_MEMORY), node_profile])
        return json.loads(output.splitlines()[-1])

    def test_without_a_profile_the_node_takes_one_that_fits_and_every_image_comes(self):
        found = self.drive("")
        self.assertEqual((found["received"], found["shared_memory"]), (found["sent"], "used"), found)
        self.assertIn("fastdds_small.xml", found["transport_profile"])
        self.assertEqual((found["level"], found["shm_size_mib"]), (1, "64.000"), found)
        for words in ("/dev/shm has only 64 MiB", "--shm-size=512m", "--ipc=host"):
            self.assertIn(words, found["message"])
            self.assertIn(words, found["log"])

    def test_a_profile_that_does_not_fit_is_said(self):
        found = self.drive(str(ROOT / "params/fastdds.xml"))
        self.assertEqual((found["level"], found["shared_memory"], found["segment_mib"]), (1, "not used", "128.000"), found)
        for words in ("images cannot come over shared memory", "segment of 128 MiB", "--shm-size=512m"):
            self.assertIn(words, found["message"])
            self.assertIn(words, found["log"])

    def test_the_environment_of_a_shell_chooses_the_small_one(self):
        command = ["bash", "-c", "source tools/env.sh && echo $FASTRTPS_DEFAULT_PROFILES_FILE"]
        chosen = self.in_small_memory(command, {"FASTRTPS_DEFAULT_PROFILES_FILE": None})
        self.assertEqual(pathlib.Path(chosen.strip()), ROOT / "params/fastdds_small.xml")
        mine = self.in_small_memory(command, {"FASTRTPS_DEFAULT_PROFILES_FILE": "/my/own.xml"})
        self.assertEqual(mine.strip(), "/my/own.xml")


class Described(unittest.TestCase):
    def test_the_document_is_made_by_the_node(self):
        node = pathlib.Path(NodeProcess.executable())
        result = subprocess.run([node, "--describe", "diagnostics"], capture_output=True, text=True, timeout=60)
        self.assertEqual((ROOT / "docs/diagnostics.md").read_text(), result.stdout)


class Compressed(WithNode):
    def test_images_of_now_are_well(self):
        client = self.run_node(Client(CompressedImage), image_transport="compressed", **FAST)
        client.wait_for(self.process)
        self.stream(1.0, compressed(png(stop_sign()), "png"))
        self.says("camera", OK, "images arrive")


if __name__ == "__main__":
    unittest.main()
