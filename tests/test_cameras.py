"""One node with several cameras, seen from outside."""

import pathlib
import tempfile
import time
import unittest

import numpy
import rclpy
from activation_monitor.msg import ClassificationArray, OodConfidenceArray
from diagnostic_msgs.msg import DiagnosticArray
from node_case import setUpModule, tearDownModule
from node_client import NodeProcess, raw_image, spin_until, stop_sign
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

CAMERAS = ("front", "left", "rear", "right")


class Cameras:
    """Publishes to every camera and keeps the answers by camera and stamp."""

    def __init__(self):
        self.node = rclpy.create_node(f"cameras_{time.monotonic_ns()}")
        self.images = {name: self.node.create_publisher(Image, f"/{name}/image", 10) for name in CAMERAS}
        self.judged = {name: {} for name in CAMERAS}
        self.classified = {name: {} for name in CAMERAS}
        self.statuses = {}
        many = QoSProfile(depth=1000)
        for name in CAMERAS:
            ood, classification = f"/monitor/{name}/ood", f"/monitor/{name}/classification"
            self.node.create_subscription(OodConfidenceArray, ood, self.keep(self.judged[name]), many)
            self.node.create_subscription(ClassificationArray, classification, self.keep(self.classified[name]), many)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self.status, many)

    @staticmethod
    def keep(answers):
        def keep(message):
            answers[message.header.stamp.sec] = message

        return keep

    def status(self, message):
        for status in message.status:
            self.statuses[status.name] = {pair.key: pair.value for pair in status.values}

    def spin_until(self, condition, timeout_secs=20.0, what="the condition"):
        spin_until(self.node, condition, timeout_secs, what)

    def send(self, camera, sec, pixels):
        message = raw_image(pixels)
        message.header.stamp.sec = sec
        message.header.frame_id = camera
        self.images[camera].publish(message)

    def wait_for(self, process):
        """Until every camera is answered: topics are matched on one side a little before the other."""

        def answered():
            for name in CAMERAS:
                if not self.judged[name] and self.images[name].get_subscription_count():
                    self.send(name, 1, stop_sign())
            deadline = time.monotonic() + 0.1
            while time.monotonic() < deadline:
                rclpy.spin_once(self.node, timeout_sec=0.02)
            return all(self.judged.values())

        self.spin_until(answered, 40.0, f"answers of all cameras:\n{process.log()}")


class SeveralCameras(unittest.TestCase):
    def setUp(self):
        self.process = NodeProcess(cameras=f"[{', '.join(CAMERAS)}]", image_topic="image")
        self.addCleanup(self.process.kill)
        self.cameras = Cameras()
        self.addCleanup(self.cameras.node.destroy_node)
        self.cameras.wait_for(self.process)

    def test_every_camera_is_answered_on_its_own_topics(self):
        noise = numpy.random.default_rng(1).integers(0, 256, (64, 64, 3), numpy.uint8)
        for camera in CAMERAS:
            self.cameras.send(camera, 100, noise if camera == "rear" else stop_sign())
        self.cameras.spin_until(lambda: all(100 in answers for answers in self.cameras.judged.values()))
        verdicts = {camera: answers[100].results[0].verdict for camera, answers in self.cameras.judged.items()}
        self.assertEqual(verdicts.pop("rear"), 3)
        self.assertTrue(all(verdict < 3 for verdict in verdicts.values()), verdicts)
        for camera, answers in self.cameras.judged.items():
            self.assertEqual(answers[100].header.frame_id, camera)

    def test_a_busy_camera_does_not_starve_the_others_and_everything_is_counted(self):
        large = numpy.tile(stop_sign(), (8, 8, 1))
        quiet = [camera for camera in CAMERAS if camera != "front"]
        for sec in range(200, 220):
            for _ in range(5):
                self.cameras.send("front", sec, large)
            for camera in quiet:
                self.cameras.send(camera, sec, stop_sign())
            deadline = time.monotonic() + 0.1
            while time.monotonic() < deadline:
                rclpy.spin_once(self.cameras.node, timeout_sec=0.01)
        self.cameras.spin_until(lambda: all(219 in self.cameras.judged[camera] for camera in quiet))

        def counted():
            for camera in CAMERAS:
                values = self.cameras.statuses.get(f"/monitor: camera {camera}")
                if not values:
                    return False
                received, judged, dropped = (int(values[key]) for key in ("received", "judged", "dropped"))
                sent = 100 if camera == "front" else 20
                if received < sent or received != judged + dropped:
                    return False
            return True

        self.cameras.spin_until(counted, what="received = judged + dropped for every camera")

    def test_a_camera_that_changes_its_size_goes_on(self):
        for sec, tiles in ((300, 1), (301, 4), (302, 2)):
            self.cameras.send("left", sec, numpy.tile(stop_sign(), (tiles, tiles, 1)))
            self.cameras.spin_until(lambda sec=sec: sec in self.cameras.judged["left"], what=f"the answer to {sec}")

    def test_an_alarm_of_one_camera_leaves_the_others_alone(self):
        broken = Image(encoding="nonsense", width=1, height=1, step=1, data=b"1")
        broken.header.stamp.sec = 400
        self.cameras.images["right"].publish(broken)
        self.cameras.send("left", 400, stop_sign())
        self.cameras.spin_until(lambda: 400 in self.cameras.judged["right"] and 400 in self.cameras.judged["left"])
        self.assertEqual(self.cameras.judged["right"][400].results[0].verdict, 0)
        self.assertNotEqual(self.cameras.judged["left"][400].results[0].verdict, 0)


class View(unittest.TestCase):
    def test_every_camera_has_entities_of_its_own(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / "cameras.rrd"
        names = f"[{', '.join(CAMERAS)}]"
        process = NodeProcess(cameras=names, image_topic="image", viewer="save", viewer_path=path)
        self.addCleanup(process.kill)
        cameras = Cameras()
        self.addCleanup(cameras.node.destroy_node)
        cameras.wait_for(process)
        shown = lambda: int(cameras.statuses.get("/monitor: viewer", {}).get("viewer_shown", 0))
        before = shown()
        for name in CAMERAS:
            cameras.send(name, 400, stop_sign())
        cameras.spin_until(lambda: all(400 in answers for answers in cameras.judged.values()), what="all answers")
        # Every camera has been answered at least twice by now, and the queue holds more than these.
        cameras.spin_until(lambda: shown() >= max(before, len(CAMERAS)) + len(CAMERAS), what="a frame of every camera")
        self.assertEqual(process.end(), 0, process.log())
        recording = path.read_bytes()
        for camera in CAMERAS:
            for entity in ("camera/image", "evidence/knn", "layers/", "verdict"):
                self.assertTrue(f"{camera}/{entity}".encode() in recording, f"{camera}/{entity}")


if __name__ == "__main__":
    unittest.main()
