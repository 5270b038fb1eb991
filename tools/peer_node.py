#!/usr/bin/env python3
"""A node as a user of rclpy, PyTorch and pytorch-ood writes it, to compare monitor_node with (`tools/load_test --peer`).

It subscribes to `image` (sensor_msgs/Image, rgb8), runs the TorchScript model on the whole image, asks four detectors of
pytorch-ood, and publishes their scores on `~/ood`. Every detector gets the image and runs the model itself, as `predict`
of that library does. What can be cheap is cheap: the pixels are not copied, torchvision resizes bytes, only the newest
image waits, and the detectors are fitted on a few hundred images.
"""

import argparse
import pathlib

import numpy
import rclpy
import torch
from activation_monitor.msg import DetectorScore, OodConfidence, OodConfidenceArray
from peer_model import PeerModel
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image


class Peer(Node):
    def __init__(self, folder, fit):
        super().__init__("peer")
        self.model = PeerModel(folder, fit)
        self.publisher = self.create_publisher(OodConfidenceArray, "~/ood", 10)
        newest = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(Image, "image", self.judge, newest)
        self.get_logger().info(f"torch {torch.__version__}, {torch.get_num_threads()} threads, fitted on {fit}")

    @torch.inference_mode()
    def judge(self, message):
        received = self.get_clock().now().to_msg()
        pixels = torch.from_numpy(numpy.frombuffer(message.data, numpy.uint8))
        pixels = pixels.view(message.height, message.width, 3).permute(2, 0, 1)
        batch = self.model.prepare(pixels).unsqueeze(0)
        score, best = self.model.classify(batch)
        scores = [DetectorScore(name=name, score=score.item()) for name, score in self.model.scores(batch).items()]
        result = OodConfidence(
            verdict=OodConfidence.IN_DISTRIBUTION,
            predicted_class_id=best.item(),
            predicted_class_name=self.model.classes[best.item()],
            score=score.item(),
            detectors=scores,
        )
        answer = OodConfidenceArray(header=message.header, received=received, results=[result])
        answer.published = self.get_clock().now().to_msg()
        self.publisher.publish(answer)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=pathlib.Path, required=True, help="folder with model.pt and model.json")
    parser.add_argument("--fit", type=pathlib.Path, required=True, help="images as <class>/*.png that the detectors are fitted on")
    arguments = parser.parse_args(rclpy.utilities.remove_ros_args()[1:])
    rclpy.init()
    try:
        rclpy.spin(Peer(arguments.model, arguments.fit))
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        pass  # rclpy's signal handler has shut everything down


if __name__ == "__main__":
    main()
