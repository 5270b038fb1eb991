"""The seconds around alarms as recordings, seen from outside: what is in them, and that they give the same verdicts again.

Bounds of memory, disk and number, full disks and kills in the middle of writing are checked by the Rust tests of src/black_box.
"""

import json
import pathlib
import signal
import tempfile
import time

from activation_monitor.msg import OodConfidenceArray, RegionArray
from mcap.reader import NonSeekingReader, make_reader
from node_case import OwnNode, setUpModule, tearDownModule
from node_client import Client, at, comparable, compressed, png, raw_image, scene, sign, strange_scene
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

PERIOD_SECS = 0.1


class Recording(OwnNode):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.events = pathlib.Path(folder.name) / "events"
        self.shown = 0

    def begin(self, **parameters):
        defaults = dict(
            regions_topic="/regions",
            record="alarms",
            record_path=str(self.events),
            record_before_secs=1.0,
            record_after_secs=0.5,
            diagnostics_period_secs=0.2,
        )
        self.run_node(**{**defaults, **parameters})
        self.client.wait_for(self.process)
        self.base_secs = time.time()

    def show(self, count, pixels, regions):
        answers = []
        for _ in range(count):
            self.shown += 1
            stamp = at(self.base_secs + PERIOD_SECS * self.shown)
            answers.append(self.client.ask(raw_image(pixels), regions, stamp)[1])
            self.client.spin_for(PERIOD_SECS)
        return answers

    def save_event(self):
        return self.client.call(Trigger, "save_event")

    def recorded(self, count=1):
        """The complete events, as folders."""

        def found():
            folders = self.events.glob("event_*") if self.events.exists() else ()
            return sorted(folder for folder in folders if folder.suffix not in (".partial", ".cut_off"))

        self.client.spin_until(lambda: len(found()) >= count, 20.0, f"{count} events")
        return found()

    def messages(self, event):
        """All messages by topic, in the order of time."""
        (file,) = event.glob("*.mcap")
        messages = {}
        with file.open("rb") as stream:
            for _, channel, message in make_reader(stream).iter_messages():
                messages.setdefault(channel.topic, []).append(message.data)
        return messages

    def test_an_alarm_is_recorded_with_what_came_before_and_after(self):
        self.begin(record_after_secs=1.5)
        self.show(6, scene(), [sign()])
        alarmed = self.show(6, strange_scene(), [sign("strange")])
        self.show(8, scene(), [sign("later")])
        (event,) = self.recorded()
        self.assertIn("alarm", event.name)
        self.assertTrue((event / "metadata.yaml").is_file())
        story = json.loads((event / "event.json").read_text())
        self.assertEqual(story["model_id"], alarmed[0].model_id)
        self.assertEqual(story["monitor_id"], alarmed[0].monitor_id)
        messages = self.messages(event)
        outputs = ["/monitor/classification", "/monitor/ood", "/monitor/stream_state"]
        for topic in ["/camera", "/regions", "/diagnostics", *outputs]:
            self.assertIn(topic, messages)
        said = [deserialize_message(data, OodConfidenceArray) for data in messages["/monitor/ood"]]
        names = {result.region.id for message in said for result in message.results}
        self.assertLessEqual({"sign", "strange", "later"}, names, "before, during and after")
        for message in said:
            stamp = (message.header.stamp.sec, message.header.stamp.nanosec)
            if stamp[0] == 1:
                continue  # images of wait_for, which have one stamp
            self.assertEqual(comparable([message]), comparable([self.client.judged[stamp]]), "as it was published")
        self.client.spin_until(lambda: self.client.count("record_events") == 1, what="the count")

    def test_what_was_recorded_gives_the_same_verdicts_again(self):
        self.begin()
        self.show(6, scene(), [sign()])
        self.assertTrue(self.save_event().success)
        self.show(8, strange_scene(), [sign("strange")])
        messages = self.messages(self.recorded()[0])
        said = [deserialize_message(data, OodConfidenceArray) for data in messages["/monitor/ood"]]
        said = {(message.header.stamp.sec, message.header.stamp.nanosec): message for message in said}
        regions = [deserialize_message(data, RegionArray) for data in messages["/regions"]]
        regions = {(array.header.stamp.sec, array.header.stamp.nanosec): array.regions for array in regions}
        compared = 0
        for data in messages["/camera"]:
            image = deserialize_message(data, Image)
            stamp = (image.header.stamp.sec, image.header.stamp.nanosec)
            if stamp not in said or not regions.get(stamp):
                continue
            self.client.judged.pop(stamp)
            _, judged = self.client.ask(image, regions[stamp], stamp)
            for before, again in zip(said[stamp].results, judged.results, strict=True):
                self.assertEqual(before.p_value, again.p_value)
                self.assertEqual(before.verdict, again.verdict)
                self.assertEqual(before.detectors, again.detectors)
                compared += 1
        self.assertGreater(compared, 5)

    def test_compressed_images_are_recorded_as_they_came(self):
        """Also those that have no regions or cannot be decoded: what went wrong is what one wants to see."""
        self.begin(client=Client(CompressedImage), image_transport="compressed")
        sent = {}
        for data, regions in [(png(scene()), [sign()]), (png(strange_scene()), []), (png(scene())[:200], [sign()])] * 2:
            self.shown += 1
            stamp = at(self.base_secs + PERIOD_SECS * self.shown)
            self.client.ask(compressed(data, "png"), regions, stamp)
            sent[stamp] = data
        self.assertTrue(self.save_event().success)
        images = [deserialize_message(data, CompressedImage) for data in self.messages(self.recorded()[0])["/camera"]]
        recorded = {(image.header.stamp.sec, image.header.stamp.nanosec): image for image in images}
        for stamp, data in sent.items():
            self.assertEqual((bytes(recorded[stamp].data), recorded[stamp].format), (data, "png"))

    def test_events_can_be_asked_for(self):
        self.begin()
        self.show(3, scene(), [sign()])
        answer = self.save_event()
        self.assertTrue(answer.success, answer.message)
        (event,) = self.recorded()
        self.assertIn("save_event", event.name)

    def test_without_recording_the_service_says_so(self):
        self.begin(record="off")
        answer = self.save_event()
        self.assertFalse(answer.success)
        self.assertIn("record", answer.message)
        self.assertFalse(self.events.exists())

    def test_a_folder_that_cannot_be_made_is_said(self):
        self.assertIn("record_path", self.failing(record="alarms", record_path="/proc/no/events"))

    def test_a_folder_that_vanishes_is_made_again_and_judging_goes_on(self):
        self.begin()
        self.show(2, scene(), [sign()])
        for entry in self.events.iterdir():
            entry.unlink()
        self.events.rmdir()
        self.assertTrue(self.save_event().success)
        self.show(8, scene(), [sign()])
        self.recorded()

    def test_a_killed_node_leaves_what_it_had_written(self):
        self.begin(record_after_secs=30.0)
        self.show(6, scene(), [sign()])
        self.save_event()
        self.show(30, scene(), [sign()])
        self.process.end(signal.SIGKILL)
        (event,) = self.events.glob("event_*")
        (file,) = event.glob("*.mcap")
        topics = []
        try:
            with file.open("rb") as stream:
                found = NonSeekingReader(stream).iter_messages(log_time_order=False)
                topics.extend(channel.topic for _, channel, _ in found)
        except Exception as error:  # the end is missing, by nature; what stands before it must be there
            print(f"the recording ends with {type(error).__name__}")
        self.assertGreater(topics.count("/camera"), 5)
        self.begin()
        self.client.spin_until(lambda: self.client.count("record_cut_off") == 1, what="the count")
