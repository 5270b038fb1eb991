"""Boxes of vision_msgs in and out of a node that was built with them; `make test-vision-msgs` runs it."""

import unittest

import numpy
from activation_monitor.msg import OodConfidence
from node_case import SharedNode, setUpModule, tearDownModule
from node_client import FRAME, raw_image, stop_sign
from rclpy.qos import QoSProfile
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

STOP = "stop"


def detection(name, left, top, width, height, *classes):
    message = Detection2D(id=name)
    message.bbox.center.position.x, message.bbox.center.position.y = left + width / 2, top + height / 2
    message.bbox.size_x, message.bbox.size_y = float(width), float(height)
    for class_id in classes:
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id = class_id
        message.results.append(result)
    return message


class Detections(SharedNode):
    parameters = {"regions_topic": "/boxes", "regions_type": "detection2d_array", "regions_timeout_secs": 10.0}

    @classmethod
    def connect(cls):
        cls.boxes = cls.client.node.create_publisher(Detection2DArray, "/boxes", 10)
        cls.found = {}

        def keep(message):
            cls.found[message.header.stamp.sec, message.header.stamp.nanosec] = message

        cls.client.node.create_subscription(Detection2DArray, "/monitor/detections", keep, QoSProfile(depth=100))
        cls.client.wait_for(cls.process, probe=False)
        cls.client.spin_until(lambda: cls.boxes.get_subscription_count() > 0, what="the subscription to the boxes")

    def ask(self, *detections):
        """Classification, confidence and detections of an image with these boxes."""
        picture = numpy.full((100, 150, 3), 90, numpy.uint8)
        picture[20:84, 30:94] = stop_sign()
        stamp = self.client.next_stamp()
        array = Detection2DArray(detections=detections)
        array.header.stamp.sec, array.header.stamp.nanosec = stamp
        array.header.frame_id = FRAME
        self.boxes.publish(array)
        classified, judged = self.client.ask(raw_image(picture), stamp=stamp)
        self.client.spin_until(lambda: stamp in self.found, what="the detections")
        return classified, judged, self.found[stamp]

    def test_boxes_are_judged_as_regions(self):
        sign = detection("7", 37, 27, 50, 50, "traffic sign")
        unnamed = detection("", 36.5, 27.2, 50.5, 49.8, "traffic sign", "other")
        beyond = detection("beyond", -90, -90, 50, 50)
        classified, judged, found = self.ask(sign, unnamed, beyond)
        self.assertEqual([result.region.id for result in judged.results], ["7", "traffic sign", "beyond"])
        rectangles = [result.region.roi for result in judged.results[:2]]
        sides = [(roi.x_offset, roi.y_offset, roi.width, roi.height) for roi in rectangles]
        self.assertEqual(sides, [(37, 27, 50, 50), (36, 27, 51, 50)])
        self.assertEqual([result.class_name for result in classified.results], [STOP, STOP, ""])
        self.assertEqual(judged.results[2].verdict, OodConfidence.UNKNOWN)
        self.assert_told(classified, found)

    def assert_told(self, classified, found):
        self.assertEqual(found.header.frame_id, FRAME)
        self.assertEqual([detection.id for detection in found.detections], ["7", "traffic sign", "beyond"])
        for told, result in zip(found.detections, classified.results, strict=True):
            hypotheses = [(one.hypothesis.class_id, one.hypothesis.score) for one in told.results]
            self.assertEqual(hypotheses, [(one.class_name, one.score) for one in result.top_k])
        first = found.detections[0].bbox
        self.assertEqual((first.center.position.x, first.center.position.y), (62.0, 52.0))
        self.assertEqual((first.size_x, first.size_y, first.center.theta), (50.0, 50.0, 0.0))

    def test_a_box_of_zeros_is_the_whole_image(self):
        _, judged, found = self.ask(Detection2D())
        roi = judged.results[0].region.roi
        self.assertEqual((roi.x_offset, roi.y_offset, roi.width, roi.height), (0, 0, 0, 0))
        self.assertEqual((len(found.detections), found.detections[0].bbox.size_x), (1, 0.0))


if __name__ == "__main__":
    unittest.main()
