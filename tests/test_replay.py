"""Replays beside the real node: the same answers to the bit."""

import json
import pathlib
import subprocess
import tempfile
import unittest

from node_client import MODEL, MONITOR, RELEASE


def run(*arguments, timeout_secs=180):
    command = [str(RELEASE / "activation-monitor"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_secs)


class ThroughNode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.bag = pathlib.Path(cls.folder.name) / "drive"
        size = ("--width", 640, "--height", 360)
        drawn = run("synthesize", "--output", cls.bag, "--duration-secs", 8, "--rate-hz", 10, "--seed", 3, *size)
        assert drawn.returncode == 0, drawn.stderr

    def replay(self, *arguments):
        return run("replay", "--model", MODEL, "--monitor", MONITOR, self.bag, *arguments)

    def assert_equal_to_the_node(self, replayed, regions):
        self.assertEqual(replayed.returncode, 0, replayed.stderr)
        expected = f"beside the node: 80 images, {regions} regions; other verdicts of views 0, of objects 0, other classes 0, other states 0"
        self.assertIn(expected, replayed.stderr)

    def test_regions(self):
        replayed = self.replay("--through-node")
        figures = json.loads(replayed.stdout)
        self.assertGreater(figures["regions"], 20)
        self.assert_equal_to_the_node(replayed, figures["regions"])

    def test_whole_images_and_other_parameters(self):
        levels = ("-p", "alarm_level:=0.02", "-p", "suspect_level:=0.2", "-p", "object_timeout_secs:=1.0")
        self.assert_equal_to_the_node(self.replay("--through-node", "--whole-images", *levels), 80)

    def test_parameters_that_no_node_takes_are_refused(self):
        replayed = self.replay("--through-node", "-p", "regions_topic:=not//a//topic")
        self.assertEqual(replayed.returncode, 1)
        self.assertIn("regions_topic", replayed.stderr)


if __name__ == "__main__":
    unittest.main()
