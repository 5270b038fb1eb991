"""tools/setup and tools/env.sh, as a user meets them.

Not checked here: the download itself (whoever runs this test has it behind them) and the build of the executables
(test_colcon.py).
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What a plain shell has. Everything else has to come from env.sh.
PLAIN = {name: os.environ[name] for name in ("HOME", "ACTIVATION_MONITOR_CACHE", "CI") if name in os.environ}
# What tools/setup needs before it looks for compilers.
COMMANDS = (
    "bash cat chmod cut date dirname find flock grep mkdir mv nproc rm sed sha256sum sort tail touch tr uname".split()
)
# Where pip finds nothing.
NOWHERE = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/",
    "PIP_RETRIES": "0",
    "PIP_TIMEOUT": "2",
    "PIP_CONFIG_FILE": os.devnull,
}


def run(command, env, timeout_secs=60):
    return subprocess.run(
        command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_secs
    )


def in_env(script):
    """Runs a script in a shell that knows nothing but env.sh."""
    env = {**PLAIN, "PATH": os.defpath, "ROS_DOMAIN_ID": os.environ.get("ROS_DOMAIN_ID", "42")}
    env["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    # A ROS 2 or libtorch that the outer shell brought along was used by tools/setup, so it belongs to a plain shell too.
    if os.environ.get("_ROS_WHEELS_BOOTSTRAP_COMPLETE") is None:
        env = {**os.environ, **env, "PATH": os.environ["PATH"]}
    return run(["bash", "-euc", "source tools/env.sh\n" + script], env)


def machine_has_libclang():
    """Whether one lies where libraries lie."""
    found = [
        path for folder in ("/usr/lib", "/usr/local/lib") for path in pathlib.Path(folder).glob("**/libclang*.so*")
    ]
    return any(re.match(r"libclang(-[\d.]+)?\.so", path.name) for path in found)


class Env(unittest.TestCase):
    def test_python_finds_ros_and_the_messages(self):
        result = in_env(
            "python - <<'E'\n"
            "import rclpy\n"
            "from activation_monitor.msg import OodConfidence, OodConfidenceArray\n"
            "assert OodConfidence.OUT_OF_DISTRIBUTION == 3\n"
            "rclpy.init()\n"
            "node = rclpy.create_node('test_setup')\n"
            "publisher = node.create_publisher(OodConfidenceArray, 'ood', 1)\n"
            "publisher.publish(OodConfidenceArray(results=[OodConfidence(p_value=0.5)]))\n"
            "print('published')\n"
            "E"
        )
        self.assertEqual((result.stdout, result.returncode), ("published\n", 0), result.stderr)

    def test_sourcing_twice_changes_nothing(self):
        show = 'echo "$PATH $LD_LIBRARY_PATH $PYTHONPATH $AMENT_PREFIX_PATH"\n'
        result = in_env(f"{show} source tools/env.sh\n {show}")
        once, twice = result.stdout.splitlines()
        self.assertEqual(once, twice)

    def test_python_stubs_are_for_rust_only(self):
        result = in_env('case "$LD_LIBRARY_PATH" in *rust_stubs*) exit 1 ;; esac')
        self.assertEqual(result.returncode, 0)

    def test_env_before_setup_says_what_to_do(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "tools").mkdir()
            shutil.copy(ROOT / "tools/env.sh", pathlib.Path(folder) / "tools")
            result = run(["bash", "-c", f"source {folder}/tools/env.sh"], dict(PLAIN, PATH=os.defpath))
        self.assertIn("run tools/setup first", result.stderr)
        self.assertNotEqual(result.returncode, 0)


class Repeat(unittest.TestCase):
    def test_second_run_has_nothing_to_do_and_is_quick(self):
        env = dict(os.environ)
        run(["tools/setup"], env)
        start = time.monotonic()
        result = run(["tools/setup"], env)
        took_secs = time.monotonic() - start
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("nothing to do", result.stdout)
        self.assertLess(took_secs, 3.0)

    def test_bindings_of_other_messages_are_made_anew(self):
        with tempfile.TemporaryDirectory() as target:
            done = pathlib.Path(target) / "release/build/r2r-0123/out/4567/done"
            done.parent.mkdir(parents=True)
            for messages, kept in (("other", False), (None, True)):
                done.touch()
                if messages:
                    (pathlib.Path(target) / ".messages").write_text(messages)
                result = run(["tools/setup"], dict(os.environ, CARGO_TARGET_DIR=target))
                self.assertEqual((result.returncode, done.exists()), (0, kept), result.stderr)


class Prerequisites(unittest.TestCase):
    """Each missing thing is one line that names the remedy."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for name in COMMANDS:
            if path := shutil.which(name):
                (self.bin / name).symlink_to(path)
        # The interpreter behind the venv: the copy in a venv needs more than a link to it.
        python = pathlib.Path(shutil.which("python3")).resolve()
        self.fake("python3", f'exec "{python}" "$@"')
        for name in ("cc", "c++", "make"):
            self.fake(name, "exit 0")
        self.fake("cargo", "echo cargo 1.95.0 '(0123abcd 2026-01-01)'")

    def fake(self, name, script):
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!{shutil.which('sh')}\n{script}\n")
        path.chmod(0o755)

    def run_setup(self, **more):
        env = {"HOME": str(self.folder), "PATH": str(self.bin), "ACTIVATION_MONITOR_CACHE": str(self.folder / "cache")}
        return run(["bash", "tools/setup"], {**env, **more})

    def error_of_setup(self, **more):
        result = self.run_setup(**more)
        lines = result.stderr.splitlines()
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        self.assertEqual(len(lines), 1, result.stderr)
        self.assertTrue(lines[0].startswith("setup: error: "), lines[0])
        return lines[0]

    def test_no_compiler(self):
        (self.bin / "c++").unlink()
        self.assertIn("install gcc, g++ and make", self.error_of_setup())

    def test_no_cargo(self):
        (self.bin / "cargo").unlink()
        self.assertIn("install Rust", self.error_of_setup())

    def test_cargo_that_is_too_old(self):
        self.fake("cargo", "echo cargo 1.75.0")
        self.assertIn("cargo is 1.75.0, at least 1.95 is needed; install Rust", self.error_of_setup())

    def test_no_python(self):
        (self.bin / "python3").unlink()
        self.assertIn("python3 not found; install Python 3.10 to 3.13", self.error_of_setup())

    def test_python_of_the_wrong_version(self):
        self.fake("python3", "exit 1")  # the version check is the first thing asked of it
        self.assertIn("python3 is not a Python 3.10 to 3.13; install", self.error_of_setup())

    def test_python_without_venv(self):
        self.fake("python3", 'case "$*" in *ensurepip*) exit 1 ;; esac')
        self.assertIn("without venv and pip", self.error_of_setup())

    def test_python_without_headers(self):
        self.fake("python3", 'case "$*" in *Python.h*) exit 1 ;; esac')
        self.assertIn("without its C headers", self.error_of_setup())

    def test_other_processor(self):
        self.fake("uname", "echo Linux aarch64")
        self.assertIn("source a ROS 2 and set LIBTORCH instead", self.error_of_setup())

    def test_libtorch_that_is_none(self):
        self.assertIn("no lib/libtorch_cpu.so", self.error_of_setup(LIBTORCH=str(self.folder)))

    def test_no_network(self):
        self.assertIn("no network", self.error_of_setup(**NOWHERE))

    def test_only_what_a_machine_with_ros_lacks_is_downloaded(self):
        """The run ends where it would download."""
        (self.folder / "ros/share/rcl").mkdir(parents=True)
        (self.folder / "libtorch/lib").mkdir(parents=True)
        (self.folder / "libtorch/lib/libtorch_cpu.so").touch()
        ros = {"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": str(self.folder / "ros"), **NOWHERE}
        torch, clang = {"LIBTORCH": str(self.folder / "libtorch")}, {"LIBCLANG_PATH": os.environ["LIBCLANG_PATH"]}
        both = "cmake from wheels" if machine_has_libclang() else "cmake and libclang from wheels"
        for version, given, steps in (
            (None, torch, [both]),
            ("3.15.7", torch | clang, ["cmake from wheels"]),
            ("3.16.3", clang, ["cmake and libclang of this machine", "libtorch 2.13.0 (530 MB)"]),
        ):
            if version:
                self.fake("cmake", f"echo cmake version {version}")
            with self.subTest(cmake=version):
                result = self.run_setup(**ros, **given)
                self.assertEqual(re.findall(r"setup: (.*) \.\.\.", result.stdout), steps, result.stdout)
                self.assertIn("no network", result.stderr)


@unittest.skipUnless("_ROS_WHEELS_BOOTSTRAP_COMPLETE" in os.environ, "the wheels stand in for a sourced ROS 2")
class SourcedRos(unittest.TestCase):
    def test_sourced_ros_and_libtorch_are_used_as_they_are(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            checkout = folder / "checkout"
            for name in ("tools", "msg", "params"):
                shutil.copytree(ROOT / name, checkout / name)
            for name in ("CMakeLists.txt", "package.xml", "Cargo.toml"):
                shutil.copy(ROOT / name, checkout)
            # The same files under another path, without the mark that tells our own prefix.
            own_prefix = pathlib.Path(os.environ["AMENT_PREFIX_PATH"].split(":")[1])
            prefix, libtorch = folder / "ros", folder / "libtorch"
            for source, target in ((own_prefix, prefix), (pathlib.Path(os.environ["LIBTORCH"]), libtorch)):
                target.mkdir()
                for entry in source.iterdir():
                    if entry.name != ".activation_monitor":
                        (target / entry.name).symlink_to(entry)
            env = {**PLAIN, "PATH": os.environ["PATH"], "ACTIVATION_MONITOR_CACHE": str(folder / "cache")}
            env |= {"ROS_DISTRO": "jazzy", "AMENT_PREFIX_PATH": str(prefix), "LIBTORCH": str(libtorch)}
            env |= {"CMAKE_PREFIX_PATH": str(prefix), "LD_LIBRARY_PATH": f"{prefix}/lib"}
            env["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"
            # So are the cmake of the PATH and this libclang. The machine is cut off: nothing can be downloaded.
            env |= {"LIBCLANG_PATH": os.environ["LIBCLANG_PATH"], **NOWHERE}

            result = run([str(checkout / "tools/setup")], env, timeout_secs=300)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            steps = re.findall(r"setup: (.*) \.\.\.", result.stdout)
            self.assertEqual(steps[:2], ["cmake and libclang of this machine", "messages"], result.stdout)
            show = 'source "$1/tools/env.sh"; echo "$AMENT_PREFIX_PATH $LIBTORCH"; echo "$LIBCLANG_PATH"; python -V; '
            result = run(["bash", "-euc", show + '"$1/tools/setup"', "_", str(checkout)], env)
            messages = next((folder / "cache/deps").glob("messages-*"))
            prefixes, clang, python, again = result.stdout.splitlines()
            self.assertEqual(prefixes, f"{messages}:{prefix} {libtorch}")
            self.assertTrue(clang.startswith(os.environ["LIBCLANG_PATH"]), clang)
            self.assertIn("Python 3", python)
            self.assertIn("nothing to do", again, "not even in a shell with env.sh")
            self.assertTrue(
                (messages / "share/ament_index/resource_index/rosidl_interfaces/activation_monitor").exists()
            )


if __name__ == "__main__":
    unittest.main()
