"""The node as a process, and an independent ROS 2 client (rclpy) that talks to it."""

import fcntl
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import time
import zlib

import numpy
import rclpy
from activation_monitor.msg import ClassificationArray, OodConfidenceArray, Region, RegionArray
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
MODEL = ROOT / "models/traffic_signs"
MONITOR = MODEL / "traffic_signs.monitor"
FRAME = "camera_optical"
START_SECS = 40.0
END_SECS = 12.0


def stop_sign():
    """A drawn stop sign, 64×64×3; made by examples/draw_signs.rs."""
    _header, pixels = (ROOT / "tests/data/stop_sign.pam").read_bytes().split(b"ENDHDR\n", 1)
    return numpy.frombuffer(pixels, numpy.uint8).reshape(64, 64, 3).copy()


def png(pixels):
    """RGB pixels as a PNG file."""
    height, width, _ = pixels.shape
    return png_file(width, height, b"".join(b"\0" + row.tobytes() for row in pixels), colours=2)


def png_file(width, height, rows, bits=8, colours=0):
    """A PNG file; each row begins with the number of its filter. `colours`: 0 grey, 2 RGB."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def at(secs):
    """A stamp."""
    return divmod(round(secs * 1_000_000_000), 1_000_000_000)


def scene(width=150):
    """A stop sign before a grey wall."""
    picture = numpy.full((100, width, 3), 90, numpy.uint8)
    picture[20:84, 30:94] = stop_sign()
    return picture


def strange_scene(width=150):
    """The same behind coarse stripes of strong colours: like no sign."""
    picture = scene(width)
    picture[:, ::8] = (255, 0, 255)
    picture[::8, :] = (0, 255, 0)
    return picture


def sign(name="sign"):
    """The region of the sign in the scenes."""
    return region(name, 37, 27, 50, 50)


def comparable(messages):
    """Every field of every message as text, where NaN is NaN; a message with NaN does not equal itself."""
    return [str(message) for message in messages]


def raw_image(pixels, encoding="rgb8", padding=0):
    """sensor_msgs/Image of RGB pixels in an encoding, each row followed by padding bytes."""
    channels = {"rgb8": [0, 1, 2], "bgr8": [2, 1, 0], "rgba8": [0, 1, 2, 0], "bgra8": [2, 1, 0, 0], "mono8": [0]}
    rows = pixels[:, :, channels.get(encoding, [0, 1, 2])]
    height, width, depth = rows.shape
    data = b"".join(row.tobytes() + b"\xee" * padding for row in rows)
    return Image(height=height, width=width, encoding=encoding, step=width * depth + padding, data=data)


def region(name, x, y, width, height):
    roi = RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)
    return Region(id=name, roi=roi)


class NodeProcess:
    """monitor_node with parameters; its output lies in a file. `options` are those of subprocess.Popen."""

    def __init__(self, *, model=MODEL, monitor=MONITOR, arguments=(), environment=None, options=None, **parameters):
        """`environment` are variables to set, or with None to unset."""
        parameters = {"model": model, "monitor": monitor, "image_topic": "/camera", **parameters}
        command = [str(self.executable()), "--ros-args"]
        for name, value in parameters.items():
            value = str(value).lower() if isinstance(value, bool) else value
            command += ["-p", f"{name}:={value if value != '' else chr(34) * 2}"]
        self._log = tempfile.TemporaryFile(mode="w+")
        variables = {name: value for name, value in (os.environ | (environment or {})).items() if value is not None}
        options = {"cwd": ROOT, "env": variables, **(options or {})}
        self.process = subprocess.Popen([*command, *arguments], stdout=self._log, stderr=subprocess.STDOUT, **options)

    @staticmethod
    def executable():
        return RELEASE / "monitor_node"

    def log(self):
        self._log.seek(0)
        return self._log.read()

    def wait(self, timeout_secs=END_SECS):
        """Exit code; fails when the process does not end in time."""
        return self.process.wait(timeout_secs)

    def end(self, number=signal.SIGINT):
        """Asks the process to end and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.wait()
        finally:
            self.kill()

    def kill(self):
        """Ends the process if it still runs; by force only where it must be, which leaves its shared memory behind."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __del__(self):
        self._log.close()


def unconfigured_log(process):
    """The log of a node that says why it cannot be configured, and stays unconfigured for someone to mend it."""
    client = Client()

    def said():
        status = client.statuses.get("inference")
        return status and status.level == b"\x02" and status.message.startswith("unconfigured: ")

    try:
        client.spin_until(said, START_SECS, "the reason in the diagnostics")
        if process.end() != 0:
            raise AssertionError(process.log())
        return process.log()
    finally:
        client.close()


def free_shared_memory_of_the_killed():
    """Removes the segments of Fast DDS whose process is gone, as `fastdds shm clean` does: it held a lock while it lived."""
    for lock in pathlib.Path("/dev/shm").glob("fastrtps_[0-9a-f]*_el"):
        try:
            with lock.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                lock.with_name(lock.name.removesuffix("_el")).unlink(missing_ok=True)
                lock.unlink(missing_ok=True)
        except OSError:
            continue  # it lives, or somebody else's


def spin_until(node, condition, timeout_secs, what):
    """Takes the messages of a node until something is true; fails when it does not come true in time."""
    deadline = time.monotonic() + timeout_secs
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {timeout_secs} s")
        rclpy.spin_once(node, timeout_sec=0.02)


class Client:
    """Publishes images and regions, and keeps every answer by its stamp."""

    def __init__(self, image_type=Image, image_qos=10):
        self.node = rclpy.create_node(f"client_{time.monotonic_ns()}")
        self.image_type = image_type
        self.images = self.node.create_publisher(image_type, "/camera", image_qos)
        self.regions = self.node.create_publisher(RegionArray, "/regions", 10)
        self.classified, self.judged, self.statuses = {}, {}, {}
        many = QoSProfile(depth=1000)
        subscribe = self.node.create_subscription
        subscribe(ClassificationArray, "/monitor/classification", self._keep(self.classified), many)
        subscribe(OodConfidenceArray, "/monitor/ood", self._keep(self.judged), many)
        subscribe(DiagnosticArray, "/diagnostics", self._status, many)
        self._stamp = 0

    @staticmethod
    def _keep(answers):
        def keep(message):
            answers[message.header.stamp.sec, message.header.stamp.nanosec] = message

        return keep

    def _status(self, message):
        for status in message.status:
            self.statuses[status.name.split(": ")[1]] = status

    def value(self, status, key):
        """A value of the newest status of that name; None before the first one."""
        status = self.statuses.get(status)
        return None if status is None else {pair.key: pair.value for pair in status.values}[key]

    def count(self, key):
        """A counter of whatever status has it; 0 before the first status."""
        values = (pair for status in self.statuses.values() for pair in status.values)
        return int(next((pair.value for pair in values if pair.key == key), 0) or 0)

    def counted(self, key, least, timeout_secs=10.0):
        """Waits until a counter of the camera is at least that."""
        self.spin_until(lambda: self.count(key) >= least, timeout_secs, f"{key} of {least}")

    def all_accounted_for(self, received):
        """Waits until that many images have come, and each is judged or dropped."""

        def accounted():
            now, judged, dropped = map(self.count, ("received", "judged", "dropped"))
            return now >= received and now == judged + dropped

        self.spin_until(accounted, what="received = judged + dropped")

    def call(self, service_type, name, request=None, timeout_secs=START_SECS):
        """The answer of a service of the node."""
        client = self.node.create_client(service_type, f"/monitor/{name}")
        try:
            self.spin_until(client.service_is_ready, START_SECS, f"the service {name}")
            # A service is ready before its answers have a way: that end is matched on its own.
            self.spin_for(0.3)
            future = client.call_async(request or service_type.Request())
            self.spin_until(future.done, timeout_secs, f"the answer of {name}")
            return future.result()
        finally:
            self.node.destroy_client(client)

    def set_parameters(self, **values):
        """Sets parameters of the node; fails when one is refused."""
        kinds = {bool: "bool", int: "integer", float: "double", str: "string"}

        def parameter(name, value):
            kind = kinds[type(value)]
            kind_number = getattr(ParameterType, f"PARAMETER_{kind.upper()}")
            return Parameter(name=name, value=ParameterValue(**{"type": kind_number, f"{kind}_value": value}))

        request = SetParameters.Request(parameters=[parameter(name, value) for name, value in values.items()])
        results = self.call(SetParameters, "set_parameters", request).results
        refused = [result.reason for result in results if not result.successful]
        if refused:
            raise AssertionError(f"{values} refused: {refused}")

    def spin_until(self, condition, timeout_secs=10.0, what="the condition"):
        spin_until(self.node, condition, timeout_secs, what)

    def spin_for(self, secs):
        deadline = time.monotonic() + secs
        while time.monotonic() < deadline:
            rclpy.spin_once(self.node, timeout_sec=0.02)

    def wait_for(self, process, probe=True):
        """Until images and answers have a way.

        Matched topics are seen on one side a little before the other one, so empty images are sent until they are
        answered; without `probe`, where they would be in the way, a second must do.
        """

        def connected():
            if process.process.poll() is not None:
                raise AssertionError(f"the node ended:\n{process.log()}")
            graph = self.node
            outputs = all(graph.count_publishers(f"/monitor/{name}") for name in ("classification", "ood"))
            return outputs and self.images.get_subscription_count() > 0

        self.spin_until(connected, START_SECS, "the connection to the node")
        if probe:
            self.spin_until(self._probe, what="the answer to an empty image")
        else:
            self.spin_for(1.0)

    def _probe(self):
        message = self.image_type()
        message.header.stamp.sec = 1
        self.images.publish(message)
        self.spin_for(0.1)
        return self.judged and self.classified

    def next_stamp(self):
        self._stamp += 1
        return 1000 + self._stamp, 7

    def send(self, message, stamp=None, regions=None):
        """Publishes an image (and its regions) and returns its stamp."""
        stamp = stamp or self.next_stamp()
        message.header.stamp.sec, message.header.stamp.nanosec = stamp
        message.header.frame_id = FRAME
        self.images.publish(message)
        if regions is not None:
            self.send_regions(regions, stamp)
        return stamp

    def send_regions(self, regions, stamp, frame_id=None):
        """Publishes regions for the image of that stamp."""
        array = RegionArray(regions=regions)
        array.header.stamp.sec, array.header.stamp.nanosec = stamp
        array.header.frame_id = FRAME if frame_id is None else frame_id
        self.regions.publish(array)

    def ask(self, message, regions=None, stamp=None):
        """Publishes an image and waits for both answers."""
        stamp = self.send(message, stamp, regions)
        self.spin_until(lambda: stamp in self.judged and stamp in self.classified, what=f"the answer to {stamp}")
        return self.classified[stamp], self.judged[stamp]

    def close(self):
        self.node.destroy_node()


def compressed(data, kind="jpeg"):
    return CompressedImage(format=kind, data=data)
