#!/usr/bin/env python3
"""A node as a user of rclpy, PyTorch and pytorch-ood writes it, to compare monitor_node with (`tools/load_test --peer`).

It subscribes to `image` (sensor_msgs/Image, rgb8), runs the TorchScript model on the whole image, asks four detectors of
pytorch-ood, and publishes their scores on `~/ood`. Every detector gets the image and runs the model itself, as `predict`
of that library does. What can be cheap is cheap: the pixels are not copied, torchvision resizes bytes, only the newest
image waits, and the detectors are fitted on a few hundred images.
"""

import argparse
import json
import pathlib

import numpy
import rclpy
import torch
import torchvision
from activation_monitor.msg import DetectorScore, OodConfidence, OodConfidenceArray
from pytorch_ood.detector import KNN, EnergyBased, Mahalanobis, MaxSoftmax
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from torchvision.transforms.v2 import functional


class Output(torch.nn.Module):
    """One of the outputs (logits, layer_1, …) of a model."""

    def __init__(self, model, index):
        super().__init__()
        self.model, self.index = model, index

    def forward(self, images):
        return self.model(images)[self.index]


class Peer(Node):
    def __init__(self, folder, fit):
        super().__init__("peer")
        manifest = json.loads((folder / "model.json").read_text())
        self.classes = manifest["classes"]
        self.size = [manifest["input"]["height"], manifest["input"]["width"]]
        model = torch.jit.load(folder / "model.pt").eval()
        layers = [layer["name"] for layer in manifest["layers"]]
        self.logits, embedding = Output(model, 0), Output(model, 1 + layers.index(manifest["penultimate"]))
        self.detectors = {
            "mahalanobis": Mahalanobis(embedding),
            "knn": KNN(embedding),
            "energy": EnergyBased(self.logits),
            "msp": MaxSoftmax(self.logits),
        }
        self.fit(fit)
        self.publisher = self.create_publisher(OodConfidenceArray, "~/ood", 10)
        newest = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(Image, "image", self.judge, newest)
        self.get_logger().info(f"torch {torch.__version__}, {torch.get_num_threads()} threads, fitted on {fit}")

    def fit(self, folder):
        images = torchvision.datasets.ImageFolder(folder, transform=lambda image: self.prepare(functional.pil_to_tensor(image)))
        loader = torch.utils.data.DataLoader(images, batch_size=64)
        for detector in self.detectors.values():
            detector.to("cpu")
            if detector.requires_fit:
                detector.fit(loader)

    def prepare(self, pixels):
        """3×H×W bytes to what the model wants: 3×height×width in 0..1."""
        return functional.resize(pixels, self.size, antialias=True).to(torch.float32) / 255.0

    @torch.inference_mode()
    def judge(self, message):
        received = self.get_clock().now().to_msg()
        pixels = torch.from_numpy(numpy.frombuffer(message.data, numpy.uint8))
        pixels = pixels.view(message.height, message.width, 3).permute(2, 0, 1)
        batch = self.prepare(pixels).unsqueeze(0)
        score, best = self.logits(batch).softmax(dim=1).max(dim=1)
        scores = [
            DetectorScore(name=name, score=detector.predict(batch).item()) for name, detector in self.detectors.items()
        ]
        result = OodConfidence(
            verdict=OodConfidence.IN_DISTRIBUTION,
            predicted_class_id=best.item(),
            predicted_class_name=self.classes[best.item()],
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
