"""Images with the verdicts drawn on them, seen from outside. What is drawn where is checked by the Rust tests of src/overlay.rs."""

import struct

from node_case import SharedNode, setUpModule, tearDownModule
from node_client import FRAME, raw_image, scene, sign, strange_scene
from sensor_msgs.msg import CompressedImage, Image

TOPIC = "/monitor/overlay/compressed"


def jpeg_size(data):
    """Width and height that a baseline JPEG file says."""
    data = bytes(data)
    at = data.index(b"\xff\xc0")
    height, width = struct.unpack(">HH", data[at + 5 : at + 9])
    return width, height


class Overlay(SharedNode):
    parameters = {"regions_topic": "/regions", "without_regions": "whole_image", "diagnostics_period_secs": 0.2}

    def setUp(self):
        self.overlays = []
        self.subscription = self.client.node.create_subscription(CompressedImage, TOPIC, self.overlays.append, 10)
        self.client.spin_for(0.5)

    def tearDown(self):
        if self.subscription:
            self.client.node.destroy_subscription(self.subscription)

    def show(self, pixels, regions):
        """Shows an image and gives its stamp."""
        _, judged = self.client.ask(raw_image(pixels), regions)
        return judged.header.stamp

    def overlay_of(self, stamp):
        found = [overlay for overlay in self.overlays if overlay.header.stamp == stamp]
        return found[0] if found else None

    def test_every_judged_image_is_drawn_also_without_regions(self):
        for pixels, regions in [(scene(), [sign()]), (strange_scene(), [sign("other")]), (scene(), [])]:
            stamp = self.show(pixels, regions)
            self.client.spin_until(lambda: self.overlay_of(stamp), what="the overlay")
            overlay = self.overlay_of(stamp)
            self.assertEqual((overlay.format, overlay.header.frame_id), ("jpeg", FRAME))
            self.assertEqual(bytes(overlay.data[:2]), b"\xff\xd8")
            self.assertEqual(jpeg_size(overlay.data), (640, 427), "150×100, enlarged until text can be read")

    def test_an_image_that_cannot_be_decoded_is_counted(self):
        before = self.client.count("overlays_dropped")
        self.client.ask(Image(height=2, width=2, encoding="rgb8", step=6, data=b"short"), [sign()])
        self.client.counted("overlays_dropped", before + 1)

    def test_nothing_is_drawn_while_nobody_subscribes(self):
        stamp = self.show(scene(), [sign()])
        self.client.spin_until(lambda: self.overlay_of(stamp), what="the overlay")
        self.client.node.destroy_subscription(self.subscription)
        self.subscription = None
        self.client.spin_for(1.0)
        before = self.client.count("overlays_published")
        self.assertGreater(before, 0)
        for _ in range(5):
            self.show(scene(), [sign()])
        self.client.spin_for(1.0)
        self.assertEqual(self.client.count("overlays_published"), before)
        self.assertEqual(self.client.value("camera", "overlays_published"), str(before))
