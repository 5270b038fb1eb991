"""The example that measures the pattern set, on files against a naive loop."""

import json
import random
import subprocess
import tempfile
import unittest
from array import array
from pathlib import Path

from node_client import RELEASE

BITS = 100
ROW_BYTES = 13


def run(*arguments):
    command = [str(RELEASE / "examples" / "hamming_report"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


class HammingReport(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name, patterns):
        path = self.folder / name
        path.write_bytes(b"".join(pattern.to_bytes(ROW_BYTES, "little") for pattern in patterns))
        return path

    def test_distances_are_those_of_a_naive_loop(self):
        rng = random.Random(4)
        patterns = [rng.getrandbits(BITS) for _ in range(400)] * 2
        near = [pattern ^ (1 << rng.randrange(BITS)) for pattern in patterns[:40]]
        queries = patterns[:3] + near + [rng.getrandbits(BITS) for _ in range(40)]
        files = ["--patterns", self.write("patterns", patterns), "--queries", self.write("queries", queries)]
        expected = [min((pattern ^ query).bit_count() for pattern in patterns) for query in queries]
        for tables in (0, 2):
            out = self.folder / f"distances{tables}"
            done = run(*files, "--bits", BITS, "--tables", tables, "--distances", out, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            distances = array("H", out.read_bytes())
            self.assertEqual(list(distances), expected)
            report = json.loads(done.stdout)
            self.assertEqual((report["patterns"], report["distinct"], report["tables"]), (800, 400, tables))
            for query in ("contains_ns", "bounded_nearest_ns", "nearest_ns"):
                self.assertLessEqual(report[query]["p50"], report[query]["p99"])
            for figure in ("build_seconds", "file_bytes", "open_ms", "resident_bytes"):
                self.assertGreater(report[figure], 0, figure)

    def test_bad_files_are_said(self):
        good = self.write("good", [1, 2])
        for name, content, message in (
            ("short", b"\0" * 20, "no multiple of the 13 bytes of 100 bits"),
            ("past", b"\xff" * 13, "pattern 0 of"),
        ):
            bad = self.folder / name
            bad.write_bytes(content)
            done = run("--patterns", bad, "--queries", good, "--bits", BITS)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(message, done.stderr)


if __name__ == "__main__":
    unittest.main()
