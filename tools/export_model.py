#!/usr/bin/env python3
"""Turns any PyTorch classifier into a model folder for activation_monitor: model.pt and model.json.

    python tools/export_model.py --model torchvision.models:resnet18 --state-dict resnet18.pth \\
        --layers layer2 layer3 layer4 --head fc --classes classes.txt --size 224 224 \\
        --mean 0.485 0.456 0.406 --std 0.229 0.224 0.225 --output models/resnet18

or from Python, with a module of one's own:

    from export_model import export_model
    export_model(net, layers=["layer3", "layer4"], head="fc", classes=names, size=(224, 224), output="models/mine")

`forward` of the exported TorchScript module takes f32[N,3,H,W], RGB in 0..1, and returns (logits, one tensor per
layer of --layers, the input of the head). Normalisation goes inside. Layer and head names are those of
`module.named_modules()`; a layer must return a map [N,C,H,W] or a vector [N,D]; the head must be an `nn.Linear`
whose output are the logits.

Needs a Python with torch, so continuous integration does not run it. `--check` loads the written file again and
compares every output with the original module on random images, also for another batch size; run it after every
change of this file. Checked so, with torch 2.13.0, on torchvision's resnet18 (random weights, 64×64 pixels, layers as
above); then `activation-monitor fit`, `inspect` and `classify` on the folder it wrote.
"""

import argparse
import importlib
import json
import pathlib
import sys

import torch
from torch import nn

FORMAT_VERSION = 1


class Tapped(nn.Module):
    """A classifier that returns its logits, the outputs of chosen layers and the input of its head."""

    def __init__(self, module, layers, head, mean, std):
        super().__init__()
        self.module = module
        self.layers = list(layers)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self._taps = {}
        modules = dict(module.named_modules())
        for name in [*self.layers, head]:
            if name not in modules:
                known = ", ".join(name for name in modules if name)
                raise SystemExit(f"export_model: no layer `{name}`; this module has: {known}")
        if not isinstance(modules[head], nn.Linear):
            raise SystemExit(f"export_model: head `{head}` is a {type(modules[head]).__name__}, not an nn.Linear")
        for name in self.layers:
            modules[name].register_forward_hook(self._keep_output(name))
        modules[head].register_forward_pre_hook(self._keep_head_input)

    def _keep_output(self, name):
        def hook(_module, _inputs, output):
            self._taps[name] = output

        return hook

    def _keep_head_input(self, _module, inputs):
        self._taps["penultimate"] = inputs[0]

    def forward(self, images):
        logits = self.module((images - self.mean) / self.std)
        return (logits, *(self._taps[name] for name in self.layers), self._taps["penultimate"])


def head_dropout(module, head):
    """Rate of an nn.Dropout that directly precedes the head among the module's children, else 0."""
    rate = 0.0
    for name, child in module.named_modules():
        if name == head:
            return rate
        if isinstance(child, nn.Dropout):
            rate = child.p
        elif not list(child.children()):
            rate = 0.0
    return 0.0


def layer_kind(name, tensor):
    """`map` or `vector`, from the number of dimensions."""
    kinds = {2: "vector", 4: "map"}
    if tensor.dim() not in kinds:
        raise SystemExit(f"export_model: layer `{name}` returns shape {tuple(tensor.shape)}, not [N,D] or [N,C,H,W]")
    return kinds[tensor.dim()]


def export_model(module, layers, head, classes, size, output, mean=(0.0,) * 3, std=(1.0,) * 3, region_margin=0.0,
                 name=None, provenance="", license=""):
    """Writes model.pt and model.json to the folder `output`. `size` is (height, width) in pixels."""
    tapped = Tapped(module, layers, head, mean, std).eval()
    example = torch.rand(2, 3, *size)
    with torch.no_grad():
        outputs = tapped(example)
        if outputs[0].shape != (2, len(classes)):
            raise SystemExit(f"export_model: logits have shape {tuple(outputs[0].shape)} for {len(classes)} class names")
        script = torch.jit.trace(tapped, example, check_trace=False)
    folder = pathlib.Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    script.save(str(folder / "model.pt"))
    names = [*layers, "penultimate"]
    manifest = {
        "format_version": FORMAT_VERSION,
        "name": name or folder.name,
        "classes": list(classes),
        "input": {"width": size[1], "height": size[0], "region_margin": region_margin},
        "layers": [{"name": n, "kind": layer_kind(n, t)} for n, t in zip(names, outputs[1:])],
        "penultimate": "penultimate",
        "head": {
            "weight": f"module.{head}.weight",
            "bias": f"module.{head}.bias",
            "dropout": head_dropout(module, head),
        },
        "provenance": provenance,
        "license": license,
    }
    (folder / "model.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return tapped


def check(tapped, folder, size):
    """Compares the written file with the module it was made from."""
    script = torch.jit.load(str(pathlib.Path(folder) / "model.pt"))
    for batch in (1, 3):
        images = torch.rand(batch, 3, *size)
        with torch.no_grad():
            for expected, actual in zip(tapped(images), script(images), strict=True):
                torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    parameters = dict(script.named_parameters())
    manifest = json.loads((pathlib.Path(folder) / "model.json").read_text())
    for key in ("weight", "bias"):
        if manifest["head"][key] not in parameters:
            raise SystemExit(f"export_model: head {key} `{manifest['head'][key]}` is not among the parameters")
    print("check: the exported model returns what the module returns")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, metavar="PACKAGE.MODULE:FUNCTION", help="returns the nn.Module")
    parser.add_argument("--state-dict", type=pathlib.Path, help="weights, saved by torch.save(module.state_dict())")
    parser.add_argument("--layers", nargs="*", default=[], help="layers to watch besides the input of the head")
    parser.add_argument("--head", required=True, help="the last nn.Linear, for example fc")
    parser.add_argument("--classes", type=pathlib.Path, required=True, help="text file, one class name per line")
    parser.add_argument("--size", type=int, nargs=2, required=True, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--mean", type=float, nargs=3, default=[0.0] * 3)
    parser.add_argument("--std", type=float, nargs=3, default=[1.0] * 3)
    parser.add_argument("--region-margin", type=float, default=0.0, help="surroundings added around a region, 0..1")
    parser.add_argument("--provenance", default="")
    parser.add_argument("--license", default="")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--check", action="store_true", help="load the result and compare it with the module")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    module_name, _, function = arguments.model.partition(":")
    if not function:
        raise SystemExit("export_model: --model must be PACKAGE.MODULE:FUNCTION, for example torchvision.models:resnet18")
    sys.path.insert(0, ".")
    classes = [line.strip() for line in arguments.classes.read_text().splitlines() if line.strip()]
    build = getattr(importlib.import_module(module_name), function)
    keywords = {"num_classes": len(classes)} if module_name.startswith("torchvision.") else {}
    module = build(**keywords)
    if arguments.state_dict:
        module.load_state_dict(torch.load(arguments.state_dict, map_location="cpu", weights_only=True))
    tapped = export_model(
        module, arguments.layers, arguments.head, classes, tuple(arguments.size), arguments.output, arguments.mean,
        arguments.std, arguments.region_margin, provenance=arguments.provenance, license=arguments.license,
    )
    print(f"wrote {arguments.output}")
    if arguments.check:
        check(tapped, arguments.output, tuple(arguments.size))


if __name__ == "__main__":
    main()
