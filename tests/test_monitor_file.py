"""The files of model and monitor under a running node: nothing that happens to them changes a verdict.

Not checked here: what each damage does to the reader (the Rust tests do).
"""

import json
import pathlib
import shutil
import tempfile
import unittest

from node_case import OwnNode, setUpModule, tearDownModule
from node_client import MODEL, MONITOR, comparable, raw_image, stop_sign


class Files(OwnNode):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.monitor = self.folder / "copy.monitor"
        shutil.copy(MONITOR, self.monitor)

    def test_a_monitor_file_that_is_overwritten_or_truncated_in_place_changes_nothing(self):
        client = self.run_node(monitor=self.monitor)
        client.wait_for(self.process)
        _, before = client.ask(raw_image(stop_sign()))
        self.assertGreater(before.results[0].p_value, 0.0)
        size = self.monitor.stat().st_size
        with open(self.monitor, "r+b") as file:
            file.write(b"\xff" * size)
        _, overwritten = client.ask(raw_image(stop_sign()))
        self.assertEqual(comparable(overwritten.results), comparable(before.results))
        with open(self.monitor, "r+b") as file:
            file.truncate(0)
        _, truncated = client.ask(raw_image(stop_sign()))
        self.assertEqual(comparable(truncated.results), comparable(before.results))
        self.assertEqual(self.process.end(), 0, self.process.log())

    def test_a_flipped_bit_is_refused_at_the_start(self):
        data = bytearray(self.monitor.read_bytes())
        data[len(data) // 2] ^= 4
        self.monitor.write_bytes(data)
        self.assertIn("is damaged: its contents have SHA-256", self.failing(monitor=self.monitor))

    def test_a_changed_model_json_is_refused_with_the_field_and_both_values(self):
        model = self.folder / "model"
        model.mkdir()
        shutil.copy(MODEL / "model.pt", model)
        manifest = json.loads((MODEL / "model.json").read_text())

        def refused(change):
            changed = json.loads(json.dumps(manifest))
            change(changed)
            (model / "model.json").write_text(json.dumps(changed))
            return self.failing(model=model)

        margin = refused(lambda manifest: manifest["input"].update(region_margin=0.2))
        self.assertIn("model.json says input.region_margin 0.2, the monitor was fitted with 0.1", margin)
        names = refused(lambda manifest: manifest["classes"].__setitem__(14, "halt"))
        self.assertIn("model.json says classes[14] halt, the monitor was fitted with stop", names)


if __name__ == "__main__":
    unittest.main()
