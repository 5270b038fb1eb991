"""The files that are made from the node's parameter table say what the table says."""

import functools
import json
import os
import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
NODE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/monitor_node"
DESCRIBE = "cargo run --release --locked --bin monitor_node -- --describe"


@functools.cache
def described(form):
    """The table as `json`, `yaml` or `markdown`, printed by the built node."""
    if not NODE.exists():
        raise FileNotFoundError(f"{NODE} is not there; run `make build` first")
    command = [str(NODE), "--describe", form]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}: {result.stderr}")
    return result.stdout


def table():
    """The rows by name."""
    return {row["name"]: row for row in json.loads(described("json"))}


class Files(unittest.TestCase):
    maxDiff = None

    def assert_made_by(self, name, form):
        remedy = f"make it again: source tools/env.sh; {DESCRIBE} {form} > {name}"
        path = ROOT / name
        self.assertTrue(path.exists(), f"{name} is not there; {remedy}")
        self.assertEqual(path.read_text(), described(form), f"{name} is out of date; {remedy}")

    def test_params_file(self):
        self.assert_made_by("params/monitor.yaml", "yaml")

    def test_documentation(self):
        self.assert_made_by("docs/parameters.md", "markdown")


class Table(unittest.TestCase):
    def test_rows_are_complete(self):
        fields = {"name", "type", "default", "when", "per_camera", "description"}
        more = {"integer": {"min", "max"}, "double": {"min", "max"}, "choice": {"allowed"}, "topic": {"optional"}}
        for name, row in table().items():
            with self.subTest(name):
                self.assertEqual(set(row), fields | more.get(row["type"], set()))
                self.assertIn(row["type"], ("bool", "integer", "double", "text", "topic", "choice", "cameras"))
                self.assertIn(row["when"], ("start", "configure", "live"))


if __name__ == "__main__":
    unittest.main()
