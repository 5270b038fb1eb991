#!/usr/bin/env python3
"""A replay as a user of rosbags, PyTorch and pytorch-ood writes it, to compare `activation-monitor replay` with
(`tools/replay_benchmark`).

It reads a bag in order, decodes every image, cuts out its regions, runs the TorchScript model and asks four detectors of
pytorch-ood, each of which runs the model itself, as `predict` of that library does. It prints the number of images and the
seconds from the first message to the last answer: starting Python, loading and fitting do not count.
"""

import argparse
import json
import pathlib
import time

import torch
import torchvision
from peer_model import PeerModel
from rosbags.highlevel import AnyReader


def crop(pixels, roi, margin):
    x, y = round(margin * roi.width), round(margin * roi.height)
    top, left = max(roi.y_offset - y, 0), max(roi.x_offset - x, 0)
    return pixels[:, top : roi.y_offset + roi.height + y, left : roi.x_offset + roi.width + x]


@torch.inference_mode()
def judge(model, message, regions):
    """Classes and scores of all regions of one image."""
    pixels = torchvision.io.decode_image(torch.frombuffer(bytearray(message.data), dtype=torch.uint8))
    batch = torch.stack([model.prepare(crop(pixels, region.roi, model.margin)) for region in regions])
    return model.classify(batch), model.scores(batch)


def key(message):
    return message.header.stamp.sec, message.header.stamp.nanosec


def replay(model, bag):
    """Images and regions with the same stamp, in the order of the bag."""
    images, regions, count = {}, {}, 0
    with AnyReader([bag]) as reader:
        wanted = ("sensor_msgs/msg/CompressedImage", "activation_monitor/msg/RegionArray")
        connections = [connection for connection in reader.connections if connection.msgtype in wanted]
        for connection, _, data in reader.messages(connections=connections):
            message = reader.deserialize(data, connection.msgtype)
            (images if connection.msgtype == wanted[0] else regions)[key(message)] = message
            if key(message) in images and key(message) in regions:
                image, asked = images.pop(key(message)), regions.pop(key(message)).regions
                count += 1
                if asked:
                    judge(model, image, asked)
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bag", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, required=True, help="folder with model.pt and model.json")
    parser.add_argument("--fit", type=pathlib.Path, required=True, help="images as <class>/*.png that the detectors are fitted on")
    arguments = parser.parse_args()
    model = PeerModel(arguments.model, arguments.fit)
    begun = time.monotonic()
    count = replay(model, arguments.bag)
    print(json.dumps({"images": count, "secs": time.monotonic() - begun}))


if __name__ == "__main__":
    main()
