"""The running node, seen from outside over real DDS.

Not checked here: figures of the detectors (the evaluation does), GPUs, and the look of the viewer.
"""

import math
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

import numpy
from activation_monitor.msg import OodConfidence, RegionArray
from builtin_interfaces.msg import Time
from node_case import SharedNode, setUpModule, tearDownModule
from node_client import MODEL, RELEASE, Client, NodeProcess, comparable, compressed, png, raw_image, region, stop_sign
from rcl_interfaces.msg import Log, Parameter, ParameterValue
from rcl_interfaces.srv import DescribeParameters, GetParameters, SetParameters
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

STOP = "stop"
# All that the shipped model can serve: it has no decoy class.
DETECTORS = (
    "pattern_hamming box gaussian_diag gaussian_kl mahalanobis relative_mahalanobis knn vim nnguide "
    "msp max_logit energy gen react fdbd mc_dropout"
).split()


class WithNode(SharedNode):
    def assert_unknown(self, judged, *words):
        for result in judged.results:
            self.assertEqual(result.verdict, OodConfidence.UNKNOWN)
            self.assertTrue(math.isnan(result.p_value) and math.isnan(result.confidence))
            self.assertEqual(result.hamming_distance, -1)
            self.assertEqual((list(result.deviations), result.explanation), ([], ""))
            for word in words:
                self.assertIn(word, result.reason)


class RawImages(WithNode):
    def test_header_and_fields(self):
        classified, judged = self.client.ask(raw_image(stop_sign()))
        for message in (classified, judged):
            self.assertEqual(message.header.frame_id, "camera_optical")
            self.assertEqual(len(message.results), 1)
        result, confidence = classified.results[0], judged.results[0]
        self.assertEqual((result.class_name, result.class_id), (STOP, 14))
        self.assertEqual(len(result.top_k), 3)
        self.assertEqual(result.top_k[0].class_name, STOP)
        self.assertGreaterEqual(result.top_k[0].score, result.top_k[1].score)
        self.assertEqual(confidence.predicted_class_name, STOP)
        self.assertIn(confidence.verdict, (OodConfidence.IN_DISTRIBUTION, OodConfidence.SUSPECT))
        self.assertAlmostEqual(confidence.confidence, 1.0 - confidence.p_value, places=6)
        names = [detector.name for detector in confidence.detectors]
        self.assertEqual(names, DETECTORS)
        self.assertTrue(all(0.0 < detector.p_value <= 1.0 for detector in confidence.detectors))
        self.assertGreaterEqual(confidence.hamming_distance, 0)

    def test_every_encoding_with_padded_rows_gives_the_same_answer(self):
        _, expected = self.client.ask(raw_image(stop_sign()))
        for encoding in ("rgb8", "bgr8", "rgba8", "bgra8"):
            _, judged = self.client.ask(raw_image(stop_sign(), encoding, padding=5))
            self.assertEqual(comparable(judged.results), comparable(expected.results), encoding)

    def test_mono8_is_judged_as_grey(self):
        grey = numpy.repeat(stop_sign()[:, :, :1], 3, axis=2)
        _, expected = self.client.ask(raw_image(grey))
        _, judged = self.client.ask(raw_image(stop_sign(), "mono8", padding=3))
        self.assertEqual(comparable(judged.results), comparable(expected.results))

    def test_noise_is_out_of_distribution(self):
        noise = numpy.random.default_rng(1).integers(0, 256, (64, 64, 3), numpy.uint8)
        _, judged = self.client.ask(raw_image(noise))
        self.assertEqual(judged.results[0].verdict, OodConfidence.OUT_OF_DISTRIBUTION)
        self.assertLessEqual(judged.results[0].p_value, 0.01)
        self.assert_explained(judged.results[0])

    def assert_explained(self, confidence):
        named = {deviation.detector for deviation in confidence.deviations}
        self.assertTrue(1 <= len(named) <= 3 and named <= set(DETECTORS), named)
        self.assertTrue(all(deviation.contribution > 0.0 for deviation in confidence.deviations))
        for deviation in confidence.deviations:
            self.assertNotEqual(bool(deviation.layer), bool(deviation.class_name), deviation)
        self.assertIn(confidence.explanation.split(":")[0], DETECTORS)

    def test_bad_images_are_unknown_with_the_reason_and_the_node_goes_on(self):
        planar = raw_image(stop_sign(), "yuv420p")
        short = raw_image(stop_sign())
        short.data = short.data[:-10]
        narrow = raw_image(stop_sign())
        narrow.step -= 3
        empty = Image(encoding="rgb8")
        for image, word in ((planar, "yuv420p"), (short, "bytes"), (narrow, "step"), (empty, "no pixels")):
            classified, judged = self.client.ask(image)
            self.assert_unknown(judged, word)
            self.assertTrue(math.isnan(classified.results[0].score))
            self.assertEqual((classified.results[0].class_name, len(classified.results[0].top_k)), ("", 0))
        classified, _ = self.client.ask(raw_image(stop_sign()))
        self.assertEqual(classified.results[0].class_name, STOP)

        def counted():
            return "wrong data size: 2" in (self.client.value("camera", "unknown_reasons") or "")

        self.client.spin_until(counted, what="the two images of a wrong size in the diagnostics")

    def test_every_image_is_judged_or_counted_as_dropped(self):
        received = self.client.count("received")
        large = numpy.tile(stop_sign(), (8, 8, 1))
        burst = 60
        stamps = [self.client.send(raw_image(large)) for _ in range(burst)]
        self.client.spin_until(lambda: stamps[-1] in self.client.judged, what="the answer to the newest image")

        def counted():
            now, judged, dropped = map(self.client.count, ("received", "judged", "dropped"))
            return now >= received + burst and now == judged + dropped

        self.client.spin_until(counted, what="received = judged + dropped")

    def test_a_bag_that_starts_again_is_noticed(self):
        self.client.ask(raw_image(stop_sign()), stamp=(5000, 0))
        jumps = self.client.count("time_jumps")
        for sec in range(4000, 4004):  # a single one could be a wrong stamp
            classified, _ = self.client.ask(raw_image(stop_sign()), stamp=(sec, 0))
            self.assertEqual(classified.results[0].class_name, STOP)
        self.client.spin_until(lambda: self.client.count("time_jumps") > jumps, what="the counted jump")

    def test_latency_and_device_are_in_the_diagnostics(self):
        self.client.ask(raw_image(stop_sign()))
        self.client.spin_until(lambda: self.client.value("inference", "latency_p50_ms"), what="the latency")
        self.assertLess(float(self.client.value("inference", "latency_p50_ms")), 1000.0)
        self.assertEqual(self.client.value("inference", "device"), "cpu")
        self.assertEqual(len(self.client.value("inference", "model_sha256")), 64)


class Parameters(WithNode):
    def call(self, service, name, request):
        return self.client.call(service, name, request)

    def set(self, name, **value):
        parameter = Parameter(name=name, value=ParameterValue(**value))
        return self.call(SetParameters, "set_parameters", SetParameters.Request(parameters=[parameter])).results[0]

    def test_levels_change_while_the_node_runs(self):
        _, judged = self.client.ask(raw_image(stop_sign()))
        self.assertNotEqual(judged.results[0].verdict, OodConfidence.OUT_OF_DISTRIBUTION)
        self.assertTrue(self.set("suspect_level", type=3, double_value=1.0).successful)
        self.assertTrue(self.set("alarm_level", type=3, double_value=1.0).successful)
        _, judged = self.client.ask(raw_image(stop_sign()))
        self.assertEqual(judged.results[0].verdict, OodConfidence.OUT_OF_DISTRIBUTION)
        self.set("alarm_level", type=3, double_value=0.01)
        self.set("suspect_level", type=3, double_value=0.05)

    def test_what_cannot_change_is_refused_with_the_reason(self):
        result = self.set("model", type=4, string_value="/elsewhere")
        self.assertFalse(result.successful)
        self.assertIn("deactivate the node", result.reason)
        result = self.set("alarm_level", type=3, double_value=7.0)
        self.assertFalse(result.successful)
        self.assertIn("0..1", result.reason)

    def test_parameters_are_described(self):
        request = DescribeParameters.Request(names=["alarm_level"])
        described = self.call(DescribeParameters, "describe_parameters", request).descriptors[0]
        self.assertIn("OUT_OF_DISTRIBUTION", described.description)
        values = self.call(GetParameters, "get_parameters", GetParameters.Request(names=["image_topic"])).values
        self.assertEqual(values[0].string_value, "/camera")


class CompressedImages(WithNode):
    parameters = {"image_transport": "compressed"}
    image_type = CompressedImage

    def test_png_and_jpeg(self):
        classified, _ = self.client.ask(compressed(png(stop_sign()), "png"))
        self.assertEqual(classified.results[0].class_name, STOP)
        classified, judged = self.client.ask(compressed(jpeg_of_a_drawn_frame()))
        self.assertEqual(len(classified.results), 1)
        self.assertNotEqual(judged.results[0].verdict, OodConfidence.UNKNOWN)

    def test_truncated_and_foreign_data_are_unknown(self):
        jpeg = jpeg_of_a_drawn_frame()
        self.assert_unknown(self.client.ask(compressed(jpeg[: len(jpeg) // 2]))[1], "truncated")
        self.assert_unknown(self.client.ask(compressed(b"GIF89a and so on", "gif"))[1], "JPEG or PNG")
        self.assert_unknown(self.client.ask(compressed(b""))[1], "JPEG or PNG")
        classified, _ = self.client.ask(compressed(png(stop_sign()), "png"))
        self.assertEqual(classified.results[0].class_name, STOP)


def jpeg_of_a_drawn_frame():
    """The first camera image of a drawn drive: a bag is not compressed, and CDR puts the length before the bytes."""
    with tempfile.TemporaryDirectory() as folder:
        bag = pathlib.Path(folder) / "drive"
        options = ["--duration-secs", "1", "--rate-hz", "1", "--width", "320", "--height", "180"]
        command = [str(RELEASE / "activation-monitor"), "synthesize", "--output", str(bag), *options]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        data = (bag / "drive_0.mcap").read_bytes()
    start = data.index(b"\xff\xd8\xff")
    return data[start : start + int.from_bytes(data[start - 4 : start], "little")]


class Regions(WithNode):
    parameters = {"regions_topic": "/regions", "regions_timeout_secs": 0.4}

    def scene(self):
        scene = numpy.full((200, 300, 3), 90, numpy.uint8)
        scene[20:84, 30:94] = stop_sign()
        return raw_image(scene)

    def test_every_region_is_answered_in_order(self):
        noise = region("noise", 150, 100, 60, 60)
        sign = region("sign", 37, 27, 50, 50)
        outside = region("outside", 300, 180, 40, 40)
        classified, judged = self.client.ask(self.scene(), [noise, sign, outside])
        for results in (classified.results, judged.results):
            self.assertEqual([result.region for result in results], [noise, sign, outside])
        self.assertEqual(classified.results[1].class_name, STOP)
        self.assertNotEqual(judged.results[1].verdict, OodConfidence.UNKNOWN)
        self.assertEqual(judged.results[2].verdict, OodConfidence.UNKNOWN)
        self.assertIn("lies outside of the 300×200 image", judged.results[2].reason)

    def test_no_regions_give_an_empty_answer(self):
        classified, judged = self.client.ask(self.scene(), [])
        self.assertEqual((len(classified.results), len(judged.results)), (0, 0))

    def test_regions_may_come_before_their_image(self):
        stamp = self.client.next_stamp()
        array = RegionArray(regions=[region("sign", 37, 27, 50, 50)])
        array.header.stamp = Time(sec=stamp[0], nanosec=stamp[1])
        self.client.regions.publish(array)
        self.client.spin_for(0.1)
        classified, _ = self.client.ask(self.scene(), stamp=stamp)
        self.assertEqual(classified.results[0].class_name, STOP)

    def test_an_image_whose_regions_do_not_come_is_unknown(self):
        missing = self.client.count("regions_missing")
        _, judged = self.client.ask(self.scene())
        self.assert_unknown(judged, "no regions with the stamp")
        self.client.spin_until(
            lambda: self.client.count("regions_missing") > missing, what="the count of missing regions"
        )


class Health(unittest.TestCase):
    """What a person sees who gets no results."""

    def run_node(self, client, connect=True, probe=True, **parameters):
        self.addCleanup(client.close)
        process = NodeProcess(**parameters)
        self.addCleanup(process.kill)
        if connect:
            client.wait_for(process, probe)
        return process, client

    def camera_says(self, client, level, *words):
        def says():
            status = client.statuses.get("camera")
            return status and status.level == level and all(word in status.message for word in words)

        client.spin_until(says, 40.0, f"level {level} with {words}")

    def test_a_best_effort_publisher_against_a_reliable_subscription(self):
        client = Client(Image, qos_profile_sensor_data)
        process, client = self.run_node(client, connect=False, image_qos="reliable")
        self.camera_says(client, b"\x02", "best effort", "sensor_data")
        self.assertIn("best effort", process.log())

    def test_a_publisher_of_another_type(self):
        _, client = self.run_node(Client(CompressedImage), connect=False)
        self.camera_says(client, b"\x02", "image_transport to compressed")

    def test_silence_is_told_and_ends(self):
        process, client = self.run_node(Client(), probe=False, stale_after_secs=0.6, diagnostics_period_secs=0.2)
        self.camera_says(client, b"\x01", "no image yet on /camera")
        client.ask(raw_image(stop_sign()), stamp=now())
        self.camera_says(client, b"\x03", "no image on /camera for")
        client.ask(raw_image(stop_sign()), stamp=now())
        self.camera_says(client, b"\x00", "images arrive")
        self.assertIn("no image on /camera for", process.log())

    def test_without_a_monitor_images_are_classified_and_unknown(self):
        _, client = self.run_node(Client(), monitor="")
        classified, judged = client.ask(raw_image(stop_sign()))
        self.assertEqual(classified.results[0].class_name, STOP)
        self.assertEqual(judged.results[0].verdict, OodConfidence.UNKNOWN)
        self.assertIn("no monitor loaded", judged.results[0].reason)
        warned = lambda: "inference" in client.statuses and client.statuses["inference"].level == b"\x01"
        client.spin_until(warned, what="the warning")
        self.assertIn("no monitor loaded", client.statuses["inference"].message)

    def test_simulated_time(self):
        process, client = self.run_node(Client(), use_sim_time=True)
        clock = client.node.create_publisher(Clock, "/clock", 10)
        client.ask(raw_image(stop_sign()), stamp=(100, 0))

        def one_second_old():
            clock.publish(Clock(clock=Time(sec=101)))
            return client.value("camera", "stamp_age_secs") == "1.000"

        client.spin_until(one_second_old, what="the age by /clock")

    def test_the_log_reaches_rosout(self):
        _, client = self.run_node(Client(), stale_after_secs=0.3, diagnostics_period_secs=0.2)
        lines = []
        client.node.create_subscription(Log, "/rosout", lambda message: lines.append(message), 100)
        client.spin_until(lambda: client.node.count_publishers("/rosout") >= 2, what="the node's /rosout")
        for _ in range(5):  # the first lines may come before the subscription is known
            client.ask(raw_image(stop_sign()))
            client.spin_for(1.0)
        self.assertTrue(any("no image on /camera for" in line.msg and line.name == "monitor" for line in lines), lines)


def now():
    """As a stamp."""
    nanos = time.time_ns()
    return nanos // 1_000_000_000, nanos % 1_000_000_000


class StartAndEnd(unittest.TestCase):
    def failing(self, **options):
        """The log of a node that cannot start at all."""
        process = NodeProcess(**options)
        self.addCleanup(process.kill)
        self.assertEqual(process.wait(40), 1, process.log())
        return process.log()

    def assert_unconfigured(self, reason, **options):
        """What cannot be loaded is said, and the node stays for someone to mend it."""
        process, client = NodeProcess(**options), Client()
        self.addCleanup(process.kill)
        self.addCleanup(client.close)

        def said():
            status = client.statuses.get("inference")
            return status and status.level == b"\x02" and reason in status.message

        client.spin_until(said, 40.0, f"{reason} in the diagnostics")
        self.assertIsNone(process.process.poll(), process.log())
        self.assertIn(reason, process.log())
        process.kill()
        client.close()

    def test_signals_end_the_node_cleanly(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process, client = NodeProcess(), Client()
            self.addCleanup(process.kill)
            client.wait_for(process, probe=False)
            client.ask(raw_image(stop_sign()))
            start = time.monotonic()
            self.assertEqual(process.end(number), 0, process.log())
            self.assertLess(time.monotonic() - start, 5.0)
            self.assertIn("1 images received, 1 judged, 0 dropped", process.log())
            client.close()

    def test_what_is_missing_is_named(self):
        self.assert_unconfigured("parameter `model` is not set", model="")
        self.assert_unconfigured("model.json", model="/nowhere")
        self.assert_unconfigured("nowhere.monitor", monitor="/nowhere.monitor")
        self.assert_unconfigured("use device auto or cpu", device="cuda:9")
        self.assert_unconfigured("no layer `stage9`", viewer="save", viewer_layers="stage9")
        self.assertIn("parameter `alarm_level` must be in 0..1", self.failing(alarm_level=2.0))
        self.assertIn("ROS refuses the arguments", self.failing(arguments=["--params-file", "/nowhere.yaml"]))

    def test_a_monitor_of_another_model_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "model.json").write_bytes((MODEL / "model.json").read_bytes())
            # Bytes after the end of an archive change its digest, not its content.
            (folder / "model.pt").write_bytes((MODEL / "model.pt").read_bytes())
            with open(folder / "model.pt", "r+b") as weights:
                data = weights.read()
                place = data.index(b"byteorder") - 200_000
                weights.seek(place)
                weights.write(bytes([data[place] ^ 1]))
            self.assert_unconfigured("fit it again for this model", model=folder)

    def test_an_unknown_parameter_is_pointed_out(self):
        process = NodeProcess(alarm_levl=0.1)
        self.addCleanup(process.kill)
        client = Client()
        self.addCleanup(client.close)
        client.wait_for(process)
        self.assertIn("there is no parameter `alarm_levl`", process.log())

    def test_remapping_and_namespace(self):
        arguments = ["-r", "__ns:=/front", "-r", "__node:=signs", "-r", "image:=/camera"]
        process = NodeProcess(image_topic="image", arguments=arguments)
        self.addCleanup(process.kill)
        client = Client()
        self.addCleanup(client.close)
        client.spin_until(lambda: client.images.get_subscription_count() > 0, 40.0, "the subscription")
        client.spin_until(lambda: client.node.count_publishers("/front/signs/ood") == 1, what="the renamed output")
        client.spin_until(lambda: client.value("camera", "topic") == "/camera", what="the remapped topic in diagnostics")

    def test_help_and_version(self):
        for option in ("--help", "--version"):
            result = subprocess.run([RELEASE / "monitor_node", option], capture_output=True, text=True, timeout=30)
            self.assertEqual(result.returncode, 0)
        result = subprocess.run([RELEASE / "monitor_node", "--fly"], capture_output=True, text=True, timeout=30)
        self.assertEqual(result.returncode, 2)


if __name__ == "__main__":
    unittest.main()
