"""colcon build of this checkout, and what it installs.

The build takes cargo's target folder of the environment, so that it compiles nothing that is there already. Not checked
here: what the installed node does (test_node.py runs the same executable from the target folder).

The build runs tools/setup: start this test with the same CI and ACTIVATION_MONITOR_CACHE as that, as make does.
"""

import filecmp
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXECUTABLES = ("monitor_node", "activation-monitor")
BUILD_SECS = 1800  # when nothing is compiled yet; else a minute, most of it for the messages
START_SECS = 60


def run(command, timeout_secs, **options):
    """Output and exit code. Whatever still runs after the time is ended, children included."""
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **output, **options)
    try:
        text, _ = process.communicate(timeout=timeout_secs)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return text, process.returncode


def last_lines(text, count=40):
    return "\n".join(text.splitlines()[-count:])


def in_env(script, *arguments, timeout_secs=START_SECS, cwd=ROOT, env=None):
    """Runs a script in a shell with tools/env.sh."""
    command = ["bash", "-euc", "source tools/env.sh\n" + script, "bash", *map(str, arguments)]
    return run(command, timeout_secs, cwd=cwd, env=env)


@unittest.skipUnless(shutil.which("colcon"), "colcon is not installed")
class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        folder = pathlib.Path(folder.name)
        cls.setup = folder / "install/setup.bash"
        cls.prefix = folder / "install/activation_monitor"
        cls.share = cls.prefix / "share/activation_monitor"
        script = (
            'colcon --log-base "$1/log" build --base-paths . --build-base "$1/build" --install-base "$1/install" '
            "--event-handlers console_direct+"
        )
        output, code = in_env(script, folder, timeout_secs=BUILD_SECS)
        if code != 0:
            raise AssertionError(f"colcon build ended with {code}:\n{last_lines(output)}")

    def test_executables_start_from_a_plain_shell(self):
        for name in EXECUTABLES:
            with self.subTest(name):
                path = self.prefix / "lib/activation_monitor" / name
                output, code = run([str(path), "--help"], START_SECS, env={"PATH": os.defpath}, cwd="/")
                self.assertEqual(code, 0, output)
                self.assertIn("Usage: ", output)

    def test_files_in_share(self):
        for folder in ("launch", "params", "models"):
            ours = [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
            self.assertTrue(ours, f"{folder}/ has no files")
            for path in ours:
                installed = self.share / path.relative_to(ROOT)
                self.assertTrue(installed.is_file(), f"{installed} is missing")
                self.assertTrue(filecmp.cmp(path, installed, shallow=False), f"{installed} differs")

    def test_what_the_launch_file_needs_is_in_share(self):
        model = "models/traffic_signs"
        needed = [f"{model}/model.pt", f"{model}/model.json", f"{model}/traffic_signs.monitor"]
        needed += [f"launch/{name}.launch.py" for name in ("monitor", "cameras", "lifecycle")]
        needed += [f"launch/monitor.launch.{kind}" for kind in ("xml", "yaml")]
        needed += [f"params/{name}.xml" for name in ("fastdds", "fastdds_small")]
        for name in ["params/monitor.yaml", "params/cameras.yaml", *needed]:
            self.assertTrue((self.share / name).is_file(), f"{name} is missing")

    def test_messages_in_share(self):
        for path in (ROOT / "msg").glob("*.msg"):
            self.assertEqual((self.share / "msg" / path.name).read_text(), path.read_text())
            self.assertTrue((self.share / "msg" / path.name).with_suffix(".idl").is_file(), path.name)

    def test_a_sourced_install_is_what_python_and_the_index_find(self):
        script = (
            "set +u\n"  # colcon's files use variables that are not set
            'source "$1"\n'
            "python - <<'E'\n"
            "import json\n"
            "import activation_monitor\n"
            "from activation_monitor.msg import OodConfidence, OodConfidenceArray\n"
            "from ament_index_python.packages import get_package_prefix\n"
            "message = OodConfidenceArray(results=[OodConfidence(p_value=0.5)])\n"
            "prefix = get_package_prefix('activation_monitor')\n"
            "print(json.dumps([activation_monitor.__file__, prefix, message.results[0].p_value]))\n"
            "E"
        )
        output, code = in_env(script, self.setup)
        self.assertEqual(code, 0, output)
        module, prefix, p_value = json.loads(output)
        self.assertIn(self.prefix, pathlib.Path(module).parents)
        self.assertEqual((pathlib.Path(prefix), p_value), (self.prefix, 0.5))


class Cargo(unittest.TestCase):
    """tools/build_executables in a folder of its own: nothing left to set up, and a cargo that tells what it sees."""

    # Those that make the build scripts of r2r, tch and our own run again when they change.
    WATCHED = "AMENT_PREFIX_PATH CMAKE_PREFIX_PATH CMAKE_IDL_PACKAGES IDL_PACKAGE_FILTER ROS_DISTRO LIBTORCH".split()
    WATCHED += ["ACTIVATION_MONITOR_RPATH", "CARGO_TARGET_DIR", "MAKEFLAGS", "MFLAGS"]
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.write("tools/setup", "exit 0")
        for name in ("tools/build_executables", "tools/env.sh", ".deps/env.sh"):
            (self.folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, self.folder / name)
        for name in EXECUTABLES:
            self.write(f"target/release/{name}", "exit 0")
        shows = " ".join(f'"{name}=${{{name}-unset}}"' for name in self.WATCHED)
        self.write("bin/cargo", f'echo "CARGO $*"; printf "SEES %s\\n" {shows}')
        self.env = {**os.environ, "CARGO_TARGET_DIR": str(self.folder / "target")}
        self.env["PATH"] = f"{self.folder}/bin:{os.environ['PATH']}"
        for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CMAKE_PREFIX_PATH"):
            self.env.pop(name, None)  # of the make or colcon that runs this test

    def write(self, name, script):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def seen(self, script, **more):
        output, code = in_env(script, self.folder / "rust", cwd=self.folder, env={**self.env, **more})
        self.assertEqual(code, 0, output)
        return [line for line in output.splitlines() if line.startswith("SEES ")], output

    def test_it_sees_what_it_sees_in_a_shell(self):
        """Else every colcon build would compile the messages again, and the next build in a shell once more."""
        in_shell, _ = self.seen("cargo build")
        colcon = {"CMAKE_PREFIX_PATH": os.environ.get("AMENT_PREFIX_PATH", "/none"), "COLCON": "1"}
        make = {"MAKEFLAGS": "s -j2 --jobserver-auth=3,4", "MFLAGS": "-s -j2 --jobserver-auth=3,4", "MAKELEVEL": "3"}
        under_colcon, _ = self.seen('tools/build_executables "$1"', **colcon, **make)
        self.assertEqual(under_colcon, in_shell)

    def test_both_executables_arrive(self):
        _, output = self.seen('tools/build_executables "$1"')
        self.assertIn("CARGO build --release --locked --lib --bins --examples", output)
        for name in EXECUTABLES:
            self.assertTrue(os.access(self.folder / "rust" / name, os.X_OK), name)


if __name__ == "__main__":
    unittest.main()
