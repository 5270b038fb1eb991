"""Writes model folders whose network misbehaves at certain brightness: without PyTorch, as TorchScript from its parts."""

import json
import pathlib
import struct
import zipfile

NAME = "Faulty"
CLASSES = ["dark", "bright"]
SIDE = 8

# Called with black images it is well, as the node warms up with one.
HANGS_ON_WHITE = """
while bool(torch.gt(torch.mean(images), 0.9)):
  turns = torch.add(turns, 1)
"""
THROWS_ON_WHITE = """
if bool(torch.gt(torch.max(torch.mean(images, [1, 2, 3])), 0.9)):
  images = torch.reshape(images, [3, 5])
else:
  pass
"""
# A second or so on a fast machine.
SLOW_ON_WHITE = """
busy = bool(torch.gt(torch.mean(images), 0.9))
while busy:
  turns = torch.add(turns, 1)
  busy = torch.lt(turns, 20000000)
"""

SOURCE = """class {name}(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  def forward(self: __torch__.{name},
    images: Tensor) -> Tuple[Tensor, Tensor]:
    turns = 0
{fault}
    bright = torch.reshape(torch.mean(images, [1, 2, 3], True), [-1, 1])
    embedding = torch.add(bright, turns, 0)
    logits = torch.cat([torch.rsub(embedding, 1.), embedding], 1)
    return (logits, embedding)
"""


def write(folder, fault):
    """A model folder in `folder`; `fault` are statements of `forward` that may use `images` and the number `turns`."""
    folder = pathlib.Path(folder)
    lines = "\n".join(f"    {line}" for line in fault.strip().splitlines())
    files = {
        "data.pkl": pickled_module(),
        "code/__torch__.py": SOURCE.format(name=NAME, fault=lines).encode(),
        "constants.pkl": b"\x80\x02).",
        "version": b"3\n",
        "byteorder": b"little",
    }
    with zipfile.ZipFile(folder / "model.pt", "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(f"model/{name}", content)
    manifest = {
        "format_version": 1,
        "name": "faulty",
        "classes": CLASSES,
        "input": {"width": SIDE, "height": SIDE},
        "layers": [{"name": "embedding", "kind": "vector"}],
        "penultimate": "embedding",
    }
    (folder / "model.json").write_text(json.dumps(manifest))
    return folder


def pickled_module():
    """A module without parameters, in pickle protocol 2."""
    attribute = b"training"
    text = b"X" + struct.pack("<I", len(attribute)) + attribute
    return b"\x80\x02c__torch__\n" + NAME.encode() + b"\n)\x81}(" + text + b"\x89ub."
