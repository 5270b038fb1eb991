"""The documents: links, options, message tables, names on the running node, the consumers shown, and the packaging.

Not checked here: that the images of docker/ can be built, and the C++ consumer where rclcpp is not installed.
"""

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import numpy
import rclpy
import yaml
from node_case import setUpModule, tearDownModule
from node_client import MODEL, MONITOR, RELEASE, ROOT, NodeProcess, raw_image, stop_sign
from sensor_msgs.msg import Image
from test_parameters import table

DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {"target", "build", "install", "log"} & set(path.relative_to(ROOT).parts)
    and "/." not in str(path.relative_to(ROOT))
)
INTEGRATION = ROOT / "docs/integration.md"
CONSUMER = ROOT / "examples/consumer"
START_SECS = 40.0


def spin_until(node, condition, timeout_secs, what, process=None):
    deadline = time.monotonic() + timeout_secs
    while not condition():
        if process and process.poll() is not None:
            raise AssertionError(f"the node ended with {process.returncode} before {what} came true")
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout_secs} s")
        rclpy.spin_once(node, timeout_sec=0.05)


def section(text, title):
    """What stands under a heading, up to the next one of the same level or above."""
    level = title.split(" ")[0]
    start = text.index(f"{title}\n")
    end = re.search(rf"^#{{1,{len(level)}}} ", text[start + len(title) :], re.MULTILINE)
    return text[start : start + len(title) + end.start() if end else None]


def rows(text):
    """The cells of the tables in a text, without heads."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("|---")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


class Links(unittest.TestCase):
    def test_relative_links_lead_somewhere(self):
        self.assertIn(ROOT / "README.md", DOCUMENTS)
        for document in DOCUMENTS:
            text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
            for link in re.findall(r"\]\(([^)\s]+)\)", text):
                path, _, anchor = link.partition("#")
                if "://" in link:
                    continue
                target = (document.parent / path).resolve() if path else document
                with self.subTest(document=document.name, link=link):
                    self.assertTrue(target.exists(), f"{link} in {document} leads nowhere")
                    if anchor:
                        self.assertIn(anchor, self.anchors(target))

    @staticmethod
    def anchors(document):
        headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
        return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


class Options(unittest.TestCase):
    """Options of the two executables in the documents are options that they have."""

    @functools.cache
    def help_of(self, program, command):
        result = subprocess.run(
            [str(RELEASE / program), *command, "--help"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(result.returncode, 0, f"{program} {' '.join(command)}: {result.stderr}")
        return result.stdout

    def test_activation_monitor(self):
        found = 0
        for document in DOCUMENTS:
            text = document.read_text().replace("\\\n", " ")
            # In code, where a line or a span ends the command.
            for command, rest in re.findall(r"activation-monitor ([a-z]+)([^`\n]*)", text):
                if not re.search(r"--[a-z]", rest):
                    continue
                for option in re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", rest.split(" && ")[0]):
                    found += 1
                    self.assertIn(
                        option, self.help_of("activation-monitor", (command,)), f"{document.name}: {command} {option}"
                    )
        self.assertGreater(found, 5)

    def test_parameters_given_on_a_command_line(self):
        names = set(table())
        for document in DOCUMENTS:
            for name in re.findall(r"-p ([a-z_]+):=", document.read_text()):
                self.assertIn(name, names, document.name)

    def test_arguments_of_launch_files(self):
        text = (ROOT / "launch/monitor.launch.xml").read_text()
        known = set(re.findall(r'<arg name="(\w+)" default', text)) | {"manage"}
        for document in DOCUMENTS:
            for arguments in re.findall(
                r"ros2 launch activation_monitor \S+([^`\n]*)", document.read_text().replace("\\\n", " ")
            ):
                for name in re.findall(r"(\w+):=", arguments):
                    self.assertIn(name, known, document.name)


class Messages(unittest.TestCase):
    """docs/integration.md says of every field what its message file says."""

    @staticmethod
    def fields(path):
        """Name, type and comment of the constants and fields of a message file."""
        for line in path.read_text().splitlines():
            if found := re.match(r"(\S+)\s+(\w+(?:=\S+)?)\s*# ?(.*)$", line):
                kind, name, text = found.groups()
                yield [f"`{name.replace('=', ' = ')}`", f"`{kind}`", text]

    def test_tables(self):
        text = INTEGRATION.read_text()
        files = sorted((ROOT / "msg").glob("*.msg"))
        self.assertTrue(files)
        for path in files:
            with self.subTest(path.name):
                lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
                expected = list(self.fields(path))
                self.assertEqual(len(expected), len(lines), "every field has a comment on its line")
                part = section(text, f"### {path.stem}")
                self.assertEqual(rows(part)[1:], expected, f"make the table of {path.stem} again from {path.name}")
                (purpose,) = re.findall(r"\A# (.*)$", path.read_text(), re.MULTILINE)[:1]
                self.assertIn(purpose, part)


class RunningNode(unittest.TestCase):
    """Every topic and service in the tables of docs/integration.md is one of the node, under that type."""

    def names(self, node, title):
        return [
            (name.strip("`"), kind.strip("`")) for name, kind, *_ in rows(section(INTEGRATION.read_text(), title))[1:]
        ]

    def watch(self, process):
        self.addCleanup(process.kill)
        node = rclpy.create_node(f"documents_{time.monotonic_ns()}")
        self.addCleanup(node.destroy_node)
        return node

    @staticmethod
    def full(name, camera=None):
        prefix = f"/monitor/{camera}/" if camera else "/monitor/"
        return name.replace("~/<camera>/", prefix).replace("~/", "/monitor/")

    def test_one_camera(self):
        process = NodeProcess(image_topic="/camera", regions_topic="/regions")
        node = self.watch(process)
        published = {
            self.full(name): kind for name, kind in self.names(node, "### Published") if "<camera>" not in name
        }
        services = {self.full(name): kind for name, kind in self.names(node, "## Services")}
        self.assertGreater(min(len(published), len(services)), 3)

        def known(found):
            return {name: kinds[0].replace("/msg/", "/").replace("/srv/", "/") for name, kinds in found}

        def complete():
            topics, offered = known(node.get_topic_names_and_types()), known(node.get_service_names_and_types())
            return published.items() <= topics.items() and services.items() <= offered.items()

        try:
            spin_until(node, complete, START_SECS, "all topics and services", process.process)
        except AssertionError as error:
            topics, offered = known(node.get_topic_names_and_types()), known(node.get_service_names_and_types())
            missing = [name for name, kind in published.items() if topics.get(name) != kind]
            missing += [name for name, kind in services.items() if offered.get(name) != kind]
            raise AssertionError(
                f"{error}; missing: {missing}; found: {topics} and {offered}\n{process.log()}"
            ) from None
        for topic, kind in (("/camera", "sensor_msgs/Image"), ("/regions", "activation_monitor/RegionArray")):
            spin_until(
                node, lambda topic=topic: node.count_subscribers(topic), START_SECS, f"a subscription to {topic}"
            )
            self.assertEqual(known(node.get_topic_names_and_types())[topic], kind)

    def test_several_cameras_with_the_shipped_params_file(self):
        parameters = yaml.safe_load((ROOT / "params/cameras.yaml").read_text())["/**"]["ros__parameters"]
        command = [str(RELEASE / "monitor_node"), "--ros-args", "--params-file", str(ROOT / "params/cameras.yaml")]
        command += ["-p", f"model:={MODEL}", "-p", f"monitor:={MONITOR}"]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        node = rclpy.create_node(f"documents_{time.monotonic_ns()}")
        self.addCleanup(node.destroy_node)
        for camera in parameters["cameras"]:
            for name, _ in self.names(node, "### Published"):
                if "<camera>" in name:
                    topic = self.full(name, camera)
                    spin_until(node, lambda topic=topic: node.count_publishers(topic), START_SECS, topic, process)
            topic = parameters[camera]["image_topic"]
            spin_until(node, lambda topic=topic: node.count_subscribers(topic), START_SECS, topic)


class Consumers(unittest.TestCase):
    def test_the_readme_shows_the_files(self):
        part = section((ROOT / "README.md").read_text(), "## Using the answers")
        for name, language in (("consumer.py", "python"), ("consumer.cpp", "cpp")):
            (shown,) = re.findall(rf"```{language}\n(.*?)```", part, re.DOTALL)
            self.assertEqual(shown, (CONSUMER / name).read_text(), f"README.md does not show examples/consumer/{name}")

    def test_python_with_the_real_node(self):
        self.talk_to([sys.executable, "-u", str(CONSUMER / "consumer.py")])

    @unittest.skipUnless(
        any(
            pathlib.Path(prefix, "share/rclcpp").is_dir()
            for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(":")
        ),
        "rclcpp is not installed",
    )
    def test_cpp_is_built_and_talks_with_the_real_node(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for command in (
            ["cmake", "-S", str(CONSUMER), "-B", folder.name, "-G", "Unix Makefiles"],
            ["cmake", "--build", folder.name],
        ):
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.talk_to([f"{folder.name}/consumer"])

    def talk_to(self, command):
        """A sign is believed, but neither an old image nor a strange one is; silence is noticed."""
        process = NodeProcess(image_topic="/camera")
        self.addCleanup(process.kill)
        node = rclpy.create_node(f"documents_{time.monotonic_ns()}")
        self.addCleanup(node.destroy_node)
        images = node.create_publisher(Image, "/camera", 10)
        output = tempfile.TemporaryFile(mode="w+")
        self.addCleanup(output.close)
        command = [*command, "--ros-args", "-p", "max_age_secs:=3.0"]
        consumer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        self.addCleanup(consumer.wait)
        self.addCleanup(consumer.kill)

        def text():
            output.seek(0)
            return output.read()

        def send(age_secs, pixels=None):
            message = raw_image(stop_sign() if pixels is None else pixels)
            nanos = node.get_clock().now().nanoseconds - int(age_secs * 1e9)
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(nanos, 10**9)
            images.publish(message)
            spin_until(
                node, functools.partial(lambda end: time.monotonic() > end, time.monotonic() + 0.2), 5, "a pause"
            )

        def connected():
            return (
                images.get_subscription_count()
                and node.count_subscribers("/monitor/ood")
                and node.count_publishers("/monitor/ood")
            )

        spin_until(node, connected, START_SECS, "node and consumer", process.process)
        for _ in range(10):
            send(age_secs=60)
        self.assertNotIn("believed: stop", text(), "an old image is not acted on")
        for _ in range(100):
            if "believed: stop" in text():
                break
            send(age_secs=0)
        self.assertIn("believed: stop", text(), process.log())
        noise = numpy.random.default_rng(1).integers(0, 256, (64, 64, 3), numpy.uint8)
        send(0, noise)
        believed = text().count("believed:")
        for _ in range(10):
            send(0, noise)
        self.assertEqual(text().count("believed:"), believed, "noise is out of distribution")
        silences = text().count("no fresh answer")
        spin_until(node, lambda: text().count("no fresh answer") > silences, 20, "the silence that is noticed")
        self.assertIsNone(consumer.poll(), text())


class Packaging(unittest.TestCase):
    def test_package_xml_is_valid_and_names_what_the_launch_files_import(self):
        from catkin_pkg.package import parse_package

        for path in (ROOT / "package.xml", CONSUMER / "package.xml"):
            warnings = []
            package = parse_package(str(path), warnings=warnings)
            self.assertEqual(warnings, [])
        package = parse_package(str(ROOT / "package.xml"))
        named = {dependency.name for dependency in package.exec_depends}
        keys = {"yaml": "python3-yaml"}
        standard = sys.stdlib_module_names
        for path in (ROOT / "launch").glob("*.py"):
            for module in re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE):
                self.assertTrue(
                    module in standard or keys.get(module, module) in named, f"{path.name} imports {module}"
                )
        self.assertTrue({"launch_xml", "launch_yaml"} <= named)

    def test_package_xml_names_the_message_packages_of_the_node(self):
        from catkin_pkg.package import parse_package

        named = {dependency.name for dependency in parse_package(str(ROOT / "package.xml")).build_depends}
        text = "".join(path.read_text() for path in (ROOT / "src/node").rglob("*.rs"))
        used = set(re.findall(r"r2r::(\w+)::(?:msg|srv)\b", text)) - {"activation_monitor", "vision_msgs"}
        self.assertTrue({"sensor_msgs", "diagnostic_msgs"} <= used)
        self.assertEqual(used - named, set())

    def test_versions_and_licences_agree(self):
        from catkin_pkg.package import parse_package

        package = parse_package(str(ROOT / "package.xml"))
        manifest = (ROOT / "Cargo.toml").read_text()
        self.assertIn(f'version = "{package.version}"', manifest)
        self.assertIn(f'license = "{package.licenses[0]}"', manifest)
        self.assertIn("APPENDIX: How to apply the Apache License", (ROOT / "LICENSE").read_text())

    def test_no_folder_of_one_machine_is_named(self):
        files = [*(ROOT / "launch").iterdir(), *(ROOT / "params").iterdir(), *DOCUMENTS]
        files += [ROOT / name for name in ("package.xml", "Cargo.toml", "CMakeLists.txt", "build.rs")]
        for path in files:
            if path.is_file():
                self.assertNotRegex(path.read_text(), r"/(home|root|Users|work)/\w", str(path))

    def test_the_messages_alone_need_no_rust(self):
        """As a machine that only reads the answers builds them."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.pathsep.join(
            entry for entry in os.environ["PATH"].split(os.pathsep) if not pathlib.Path(entry, "cargo").exists()
        )
        self.assertIsNone(shutil.which("cargo", path=path))
        # Without our own messages: they are what is built here.
        own = [prefix for prefix in os.environ["AMENT_PREFIX_PATH"].split(":") if not prefix_of_messages(prefix)]
        env = {**os.environ, "PATH": path, "AMENT_PREFIX_PATH": ":".join(own), "CMAKE_PREFIX_PATH": ":".join(own)}
        env.pop("PYTHONPATH", None)
        build, prefix = f"{folder.name}/build", f"{folder.name}/install"
        configure = ["cmake", "-S", str(ROOT), "-B", build, "-G", "Unix Makefiles", f"-DCMAKE_INSTALL_PREFIX={prefix}"]
        result = self.run_in(env, *configure)
        self.assertNotEqual(result.returncode, 0)
        self.assertRegex(result.stderr.replace("\n", " "), r"cargo not found: .*-DMESSAGES_ONLY=ON")
        shutil.rmtree(build)
        python = f"-DPython3_EXECUTABLE={shutil.which('python', path=path)}"
        for command in (
            [*configure, python, "-DMESSAGES_ONLY=ON", "-DBUILD_TESTING=OFF"],
            ["cmake", "--build", build, "--parallel", "2"],
            ["cmake", "--install", build],
        ):
            result = self.run_in(env, *command)
            self.assertEqual(result.returncode, 0, result.stdout[-2000:] + result.stderr[-2000:])
        (site,) = pathlib.Path(prefix).glob("**/python3*/*-packages")
        env |= {"PYTHONPATH": str(site), "LD_LIBRARY_PATH": f"{prefix}/lib:{os.environ.get('LD_LIBRARY_PATH', '')}"}
        script = "import activation_monitor.msg as m; print(m.__file__, m.OodConfidence().p_value)"
        result = self.run_in(env, "python", "-c", script)
        module, p_value = result.stdout.split()
        self.assertTrue(module.startswith(prefix), module)
        self.assertEqual(float(p_value), 0.0)
        self.assertTrue(
            pathlib.Path(prefix, "include/activation_monitor/activation_monitor/msg/ood_confidence.hpp").exists()
        )
        self.assertFalse(pathlib.Path(prefix, "lib/activation_monitor").exists(), "no executables")

    @staticmethod
    def run_in(env, *command):
        return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)


def prefix_of_messages(prefix):
    return pathlib.Path(prefix, "share/activation_monitor").is_dir()


class Docker(unittest.TestCase):
    FILES = ("docker/Dockerfile", "docker/Dockerfile.debian")

    def instructions(self, name):
        """Instruction and rest of every line, continued lines joined."""
        text = re.sub(r"^\s*#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
        for line in text.splitlines():
            if line.strip():
                instruction, rest = line.split(None, 1)
                yield instruction, rest.strip()

    def test_instructions(self):
        known = {"ARG", "FROM", "SHELL", "COPY", "ENV", "RUN", "WORKDIR", "ENTRYPOINT", "CMD"}
        for name in self.FILES:
            found = list(self.instructions(name))
            self.assertLessEqual({instruction for instruction, _ in found}, known, name)
            for instruction, rest in found:
                if instruction in ("ENTRYPOINT", "CMD", "SHELL"):
                    self.assertIsInstance(json.loads(rest), list)
                if instruction == "RUN":
                    result = subprocess.run(["bash", "-n", "-c", rest], capture_output=True, text=True, timeout=20)
                    self.assertEqual(result.returncode, 0, f"{rest}: {result.stderr}")

    def test_what_is_copied_exists_and_is_not_ignored(self):
        ignored = set((ROOT / ".dockerignore").read_text().split())
        for name in self.FILES:
            stages = re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / name).read_text(), re.MULTILINE)
            for instruction, rest in self.instructions(name):
                if instruction != "COPY":
                    continue
                options = re.findall(r"--(\w+)=(\S+)", rest)
                *sources, _target = [word for word in rest.split() if not word.startswith("--")]
                if stage := dict(options).get("from"):
                    self.assertIn(stage, stages, name)
                    continue
                for source in sources:
                    self.assertTrue((ROOT / source).exists(), f"{name}: {source}")
                    self.assertNotIn(source.split("/")[0], ignored)

    def test_files_that_are_named_exist(self):
        for name in self.FILES:
            text = (ROOT / name).read_text()
            for path in re.findall(r":=(models/[\w./]+)", text) + re.findall(r"(params/\w+\.\w+)", text):
                self.assertTrue((ROOT / path).exists(), path)
        result = subprocess.run(
            ["bash", "-n", str(ROOT / "docker/entrypoint.sh")], capture_output=True, text=True, timeout=20
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(os.access(ROOT / "docker/entrypoint.sh", os.X_OK))

    def test_rust_is_that_of_the_manifest(self):
        (wanted,) = re.findall(r'rust-version = "([\d.]+)"', (ROOT / "Cargo.toml").read_text())
        for name in self.FILES:
            self.assertIn(f"FROM rust:{wanted}-", (ROOT / name).read_text())

    @unittest.skipUnless(shutil.which("hadolint"), "hadolint is not installed")
    def test_hadolint(self):
        for name in self.FILES:
            result = subprocess.run(["hadolint", str(ROOT / name)], capture_output=True, text=True, timeout=60)
            self.assertEqual(result.returncode, 0, result.stdout)


if __name__ == "__main__":
    unittest.main()
