"""The demo as `make demo` runs it, faster: the real node, a bag played to it over DDS, and the summary.

The KITTI drive is not part of the project; its test is skipped where the data are not there.
"""

import json
import pathlib
import subprocess
import tempfile
import unittest
import zipfile

from node_client import RELEASE, ROOT

KITTI = ROOT.parent / "shared/data/kitti-drive.zip"
FIELDS = "frames results accuracy ood_caught false_alarm_rate latency_ms_p50 latency_ms_p99 dropped".split()


def run(name, *arguments, timeout_secs=180):
    command = [str(RELEASE / "examples" / name), *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_secs)
    if result.returncode != 0:
        raise AssertionError(f"{command} ended with {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result.stdout


class Demo(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def demo(self, *arguments):
        output = self.folder / "demo"
        printed = run("demo", "--output", output, *arguments)
        summary = json.loads((output / "summary.json").read_text())
        self.assertLessEqual(set(FIELDS), set(summary))
        self.assertEqual(summary["results"] + summary["dropped"], summary["frames"])
        self.assertTrue((output / "demo.rrd").read_bytes().startswith(b"RRF"))
        return printed, summary

    def test_the_drawn_drive(self):
        printed, summary = self.demo("--rate", 2)
        self.assertEqual(summary["frames"], 400)
        self.assertLessEqual(summary["dropped"], 8)
        self.assertGreaterEqual(summary["accuracy"], 0.97)
        self.assertGreaterEqual(summary["ood_caught"], 0.90)
        self.assertLessEqual(summary["false_alarm_rate"], 0.03)
        self.assertLess(summary["latency_ms_p50"], 100.0)
        self.assertEqual(summary["unknown"], 0)
        self.assertGreaterEqual(summary["object_accuracy"], 0.95)
        self.assertGreaterEqual(summary["object_ood_caught"], 0.60)
        self.assertLessEqual(summary["object_false_alarm_rate"], 0.05)
        self.assertGreaterEqual(summary["camera_changes"], 1)
        self.assertEqual(len([line for line in printed.splitlines() if " s  sign_" in line]), summary["signs"])

    @unittest.skipUnless(KITTI.exists(), f"{KITTI} is not there")
    def test_a_filmed_drive(self):
        with zipfile.ZipFile(KITTI) as archive:
            archive.extractall(self.folder)
        run("kitti_bag", "--data", self.folder / "kitti_drive", "--output", self.folder / "kitti")
        _, summary = self.demo("--bag", self.folder / "kitti", "--rate", 2)
        self.assertEqual((summary["frames"], summary["signs"], summary["ood_caught"]), (140, 1, None))
        self.assertEqual(summary["accuracy"], 1.0)
        self.assertLessEqual(summary["false_alarm_rate"], 0.2)


if __name__ == "__main__":
    unittest.main()
