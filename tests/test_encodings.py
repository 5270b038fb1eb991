"""Images in all encodings at the running node, seen from outside over real DDS.

Not checked here: single pixels (the Rust tests compare them with an independent decoder).
"""

import json
import unittest

import numpy
from activation_monitor.msg import OodConfidence
from node_case import SharedNode, setUpModule, tearDownModule
from node_client import ROOT, comparable, compressed, png_file, raw_image, region, stop_sign
from sensor_msgs.msg import CompressedImage, Image

STOP = "stop"
FIXTURES = ROOT / "tests/data/encodings"


class WithNode(SharedNode):
    def assert_stop(self, message, name):
        classified, judged = self.client.ask(message)
        self.assertEqual(classified.results[0].class_name, STOP, name)
        self.assertIn(judged.results[0].verdict, (OodConfidence.IN_DISTRIBUTION, OodConfidence.SUSPECT), name)

    def assert_unknown(self, message, *words):
        _, judged = self.client.ask(message)
        self.assertEqual(judged.results[0].verdict, OodConfidence.UNKNOWN)
        for word in words:
            self.assertIn(word, judged.results[0].reason)


def image(encoding, data, step, big_endian=False, size=64):
    data = data.astype(data.dtype.newbyteorder(">" if big_endian else "<"))  # arithmetic of numpy forgets the order
    return Image(
        width=size, height=size, encoding=encoding, step=step, is_bigendian=int(big_endian), data=data.tobytes()
    )


def yuv(pixels):
    """Y, U and V of every pixel: BT.601 in limited range."""
    matrix = numpy.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
    planes = pixels.astype(float) @ matrix.T + (16, 128, 128)
    return numpy.moveaxis(numpy.rint(planes).astype(numpy.uint8), 2, 0)


def mosaic(pixels, pattern):
    samples = numpy.zeros(pixels.shape[:2], pixels.dtype)
    for index, letter in enumerate(pattern):
        y, x = divmod(index, 2)
        samples[y::2, x::2] = pixels[y::2, x::2, "rgb".index(letter)]
    return samples


def grey_png(samples):
    """A PNG file of grey samples of 8 or 16 bits."""
    height, width = samples.shape
    rows = b"".join(b"\0" + row.tobytes() for row in samples.astype(samples.dtype.newbyteorder(">")))
    return png_file(width, height, rows, bits=8 * samples.dtype.itemsize)


class RawImages(WithNode):
    def test_a_stop_sign_is_one_in_yuv(self):
        y, u, v = yuv(stop_sign())
        chroma = numpy.dstack([u[:, ::2], v[:, ::2]]).reshape(64, 64)
        quarter = numpy.dstack([u[::2, ::2], v[::2, ::2]])
        images = [
            image("yuv422", numpy.dstack([chroma, y]), 128),
            image("uyvy", numpy.dstack([chroma, y]), 128),
            image("yuv422_yuy2", numpy.dstack([y, chroma]), 128),
            image("YUYV ", numpy.dstack([y, chroma]), 128),
            image("nv12", numpy.vstack([y, quarter.reshape(32, 64)]), 64),
            image("nv21", numpy.vstack([y, quarter[:, :, ::-1].reshape(32, 64)]), 64),
            image("nv24", numpy.vstack([y, numpy.dstack([u, v]).reshape(128, 64)]), 64),
        ]
        for message in images:
            self.assert_stop(message, message.encoding)

    def test_a_stop_sign_is_one_behind_a_colour_filter_array(self):
        for pattern in ("rggb", "bggr", "gbrg", "grbg"):
            samples = mosaic(stop_sign(), pattern)
            self.assert_stop(image(f"bayer_{pattern}8", samples, 64), pattern)
            deep = samples.astype(">u2") * 16
            self.assert_stop(image(f"bayer_{pattern}16", deep, 128, big_endian=True), pattern)

    def test_a_stop_sign_is_one_in_12_of_16_bits_of_either_byte_order(self):
        for big_endian in (False, True):
            deep = (stop_sign().astype(">u2" if big_endian else "<u2") * 257) >> 4
            self.assert_stop(image("rgb16", deep, 384, big_endian), "rgb16")
            blue_first = numpy.ascontiguousarray(deep[:, :, ::-1])
            self.assert_stop(image("bgr16", blue_first, 384, big_endian), "bgr16")

    def test_16_bits_that_are_8_bits_give_the_same_answer(self):
        _, expected = self.client.ask(raw_image(stop_sign()))
        _, judged = self.client.ask(image("rgb16", stop_sign().astype("<u2") * 257, 384))
        self.assertEqual(comparable(judged.results), comparable(expected.results))

    def test_depth_images_are_unknown_as_such(self):
        self.assert_unknown(image("16UC1", numpy.ones((64, 64), "<u2"), 128), "16UC1", "depth image")
        self.assert_unknown(image("32FC1", numpy.ones((64, 64), "<f4"), 256), "32FC1", "depth image")

    def test_odd_sizes_of_subsampled_images_are_unknown(self):
        odd = image("nv12", numpy.zeros(63 * 95, numpy.uint8), 63, size=63)
        self.assert_unknown(odd, "63×63", "2×2")


class Parameters(WithNode):
    """How images are read, changed while the node runs."""

    parameters = {"diagnostics_period_secs": 0.2}

    def said(self, words):
        said = lambda: words in (self.client.value("camera", "image_notes") or "")
        self.client.spin_until(said, what=f"{words} in the diagnostics")

    def test_a_bit_depth_that_is_guessed_is_said_and_one_that_is_named_is_not(self):
        deep = image("rgb16", (stop_sign().astype("<u2") * 257) >> 4, 384)
        self.assert_stop(deep, "guessed")
        self.said("12-bit data")
        self.assertIn("12-bit data", self.process.log())
        self.client.set_parameters(bit_depth=12)
        self.assert_stop(deep, "named")
        self.client.spin_until(lambda: self.client.value("camera", "image_notes") == "", what="no note")
        self.client.set_parameters(bit_depth=0)

    def test_images_of_more_pixels_than_allowed_are_unknown(self):
        self.client.set_parameters(max_image_pixels=4095)
        self.assert_unknown(raw_image(stop_sign()), "64×64", "at most 4095 are decoded")
        self.client.set_parameters(max_image_pixels=4096)
        self.assert_stop(raw_image(stop_sign()), "as many as allowed")


class Regions(WithNode):
    parameters = {"regions_topic": "/regions", "regions_timeout_secs": 0.4}

    def test_a_region_over_the_edge_is_judged_by_what_lies_in_the_image(self):
        scene = numpy.full((200, 300, 3), 90, numpy.uint8)
        scene[136:, 236:] = stop_sign()
        over = region("over", 243, 143, 100, 4_000_000_000)
        inside = region("inside", 243, 143, 57, 57)
        flat = region("flat", 10, 10, 0, 20)
        classified, judged = self.client.ask(raw_image(scene), [over, inside, flat])
        self.assertEqual([result.class_name for result in classified.results], [STOP, STOP, ""])
        self.assertEqual(judged.results[0].p_value, judged.results[1].p_value)
        self.assertEqual(judged.results[0].region, over)
        self.assertEqual(judged.results[2].verdict, OodConfidence.UNKNOWN)
        self.assertIn("region 0×20 at (10, 10) has no pixels", judged.results[2].reason)


class CompressedImages(WithNode):
    parameters = {"image_transport": "compressed"}
    image_type = CompressedImage

    def test_the_format_tells_what_a_grey_image_is(self):
        samples = grey_png(mosaic(stop_sign(), "grbg"))
        self.assert_stop(compressed(samples, "bayer_grbg8; png compressed "), "bayer 8")
        deep = grey_png(mosaic(stop_sign().astype(numpy.uint16) * 16, "grbg"))
        self.assert_stop(compressed(deep, "bayer_grbg16; png compressed "), "bayer 16")
        for kind in ("16UC1; compressedDepth png", "16UC1; png compressed ", "32FC1; compressedDepth"):
            self.assert_unknown(compressed(samples, kind), "depth image")

    def test_colours_that_are_lost_are_said(self):
        grey = grey_png(stop_sign()[:, :, 0])
        self.client.ask(compressed(grey, "bgr8; png compressed mono8"))
        self.client.spin_until(lambda: "colour is lost" in self.process.log(), what="the line in the log")
        said = lambda: "colour is lost" in getattr(self.client.statuses.get("camera"), "message", "")
        self.client.spin_until(said, what="the message of the status")
        self.assertIn("colour is lost", self.client.value("camera", "image_notes"))

    def test_jpeg_of_every_kind_is_judged_and_refused_where_data_are_missing(self):
        for fixture in json.loads((FIXTURES / "fixtures.json").read_text()):
            if "encoding" in fixture:
                continue
            data = (FIXTURES / f"{fixture['name']}.jpg").read_bytes()
            _, judged = self.client.ask(compressed(data))
            self.assertNotEqual(judged.results[0].verdict, OodConfidence.UNKNOWN, fixture["name"])
            self.assert_unknown(compressed(data[:-60]), "truncated")
            self.assert_unknown(compressed(data[:-60] + b"\xff\xd9"), "JPEG")
        self.assert_unknown(compressed((FIXTURES / "jpeg_three_scans_420.refused").read_bytes()), "not supported")


if __name__ == "__main__":
    unittest.main()
