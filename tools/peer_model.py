"""The model with four detectors of pytorch-ood, as a user of that library puts them together."""

import json

import torch
import torchvision
from pytorch_ood.detector import KNN, EnergyBased, Mahalanobis, MaxSoftmax
from torchvision.transforms.v2 import functional


class Output(torch.nn.Module):
    """One of the outputs (logits, layer_1, …) of a model."""

    def __init__(self, model, index):
        super().__init__()
        self.model, self.index = model, index

    def forward(self, images):
        return self.model(images)[self.index]


class PeerModel:
    """`folder` has model.pt and model.json, `fit` images as <class>/*.png. Every detector runs the model itself."""

    def __init__(self, folder, fit):
        manifest = json.loads((folder / "model.json").read_text())
        self.classes = manifest["classes"]
        self.size = [manifest["input"]["height"], manifest["input"]["width"]]
        self.margin = manifest["input"]["region_margin"]
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

    def classify(self, batch):
        """Softmax and index of the best class of every image."""
        return self.logits(batch).softmax(dim=1).max(dim=1)

    def scores(self, batch):
        """Scores of every image by the name of the detector."""
        return {name: detector.predict(batch) for name, detector in self.detectors.items()}
