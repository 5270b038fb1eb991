"""The HTML pages as a browser shows them, on a desk and on a phone: nothing missing, cut off, or too small to read.

Needs a Chromium; where there is none, it is only said.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

import numpy
from node_case import OwnNode, setUpModule, tearDownModule
from node_client import MODEL, MONITOR, RELEASE, ROOT, at, png, raw_image, scene, sign, strange_scene
from std_srvs.srv import Trigger

sys.path.insert(0, str(ROOT / "tools"))
from browse import find_chromium  # noqa: E402

CLASSES = 43
BROWSE = "source tools/venv.sh && \"$(make_venv pages)/bin/python\" tools/browse.py \"$@\""


def activation_monitor(*arguments):
    command = [RELEASE / "activation-monitor", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=240)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stderr}")


class Pages(OwnNode):
    """`self.folder` is for what a test makes."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if not find_chromium():
            remedy = "install one (Debian and Ubuntu: chromium), or name one in CHROMIUM"
            raise unittest.SkipTest(f"no Chromium, so no page is looked at: {remedy}")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def look(self, page):
        """What a browser finds on a page that has no fault."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = ["bash", "-c", BROWSE, "browse", str(page)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        (found,) = json.loads(done.stdout)
        self.assertEqual(found["faults"], [])
        self.assertGreater(len(found["headings"]), 1)
        return found

    def test_the_browser_sees_faults(self):
        page = self.folder / "faulty.html"
        plot = "<svg viewBox='0 0 200 100' width='200'><text x='190' y='50'>outside</text><path d='M0 NaN'/></svg>"
        page.write_text(
            f"<h1>a</h1><h1>b</h1><a href='#c'>c</a><img src='none.png'><p style='width: 800px'>wide</p>{plot}"
            "<script>console.error('help')</script>"
        )
        with self.assertRaises(AssertionError) as fault:
            self.look(page)
        said = str(fault.exception)
        for part in (
            "desktop: #c leads nowhere",
            "an image cannot be shown",
            "an image says nothing",
            "phone: 4",
            "pixels wider than the screen",
            "not one first heading",
            '"outside" is cut off',
            "has values that are none",
            "console: help",
            "asks for file",
        ):
            self.assertIn(part, said)

    def test_report_of_a_replay(self):
        drive, report = self.folder / "drive", self.folder / "report"
        activation_monitor("synthesize", "--output", drive, "--duration-secs", 14, "--seed", 1)
        model = ("--model", MODEL, "--monitor", MONITOR)
        faults = ("--inject", "frozen", "--inject", "channel_order", "--inject-from-secs", 2)
        gate = ("--fail-on", "false_alarms>5")
        activation_monitor("replay", *model, drive, *faults, *gate, "--compare", MONITOR, "--report", report)
        found = self.look(report / "index.html")
        self.assertEqual(found["title"], "Replay with traffic_signs")
        for heading in ("Summary", "drive", "Injected faults", "Comparison", "Figures", "Terms"):
            self.assertIn(heading, found["headings"])
        self.assertIn("140", found["text"])
        self.assertIn("channel_order:0.5", found["text"])
        self.assertIn("All figures are the same.", found["text"])
        self.assertGreater(found["images"], 0, "crops of what alarmed")
        p_values, evidence = found["plots"]
        self.assertIn("p-value", p_values["texts"])
        self.assertIn("evidence", evidence["texts"])
        for plot in found["plots"]:
            self.assertIn("10", plot["texts"], "a tick of the seconds")
            self.assertGreater(plot["shapes"], 20)

    def test_report_of_an_evaluation(self):
        known, unknown, report = self.folder / "known", self.folder / "unknown", self.folder / "report"
        for index in range(CLASSES):
            (known / f"{index:02}").mkdir(parents=True)
            for seed in (1, 2):
                target = known / f"{index:02}" / f"{seed:05}_00000.png"
                draw = [RELEASE / "examples/draw_signs", "--class", index, "--seed", seed, "--size", 48, "--output", target]
                subprocess.run(list(map(str, draw)), check=True, capture_output=True, timeout=20)
        unknown.mkdir()
        rng = numpy.random.default_rng(5)
        for index in range(20):
            (unknown / f"{index}.png").write_bytes(png(rng.integers(0, 256, (48, 48, 3), numpy.uint8)))
        sets = ("--in-distribution", known, "--ood", f"noise={unknown}")
        activation_monitor("evaluate", "--model", MODEL, "--monitor", MONITOR, *sets, "--report", report)
        found = self.look(report / "index.html")
        self.assertIn("noise", found["text"])
        self.assertGreater(found["images"], 10, "the most telling images")
        self.assertGreater(len(found["plots"]), 2)
        for plot in found["plots"]:
            self.assertGreater(plot["shapes"], 3, plot["texts"])

    def test_what_to_label_next(self):
        events = self.folder / "events"
        recording = dict(record="alarms", record_path=str(events), record_before_secs=1.0, record_after_secs=0.5)
        self.run_node(regions_topic="/regions", diagnostics_period_secs=0.2, **recording)
        self.client.wait_for(self.process)
        base_secs = time.time()
        for number, pixels in enumerate([scene()] * 4 + [strange_scene()] * 6):
            self.client.ask(raw_image(pixels), [sign("strange" if number >= 4 else "sign")], at(base_secs + 0.1 * number))
            self.client.spin_for(0.1)
        self.client.call(Trigger, "save_event")
        complete = lambda: [one for one in events.glob("event_*") if not one.suffix]  # noqa: E731
        self.client.spin_until(complete, 20.0, "an event")
        activation_monitor("triage", events, "--output", self.folder / "triage")
        found = self.look(self.folder / "triage/index.html")
        self.assertGreater(found["images"], 0)
        self.assertIn("strange", found["text"])


if __name__ == "__main__":
    unittest.main()
