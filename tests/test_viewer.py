"""The live view of the running node, seen from outside: what is shown, and what is said when nothing can be.

Not checked here: the look of the view, and disks that are really full: a limit on the size of files stands for them, which
the operating system reports in the same way and which can be raised while the node runs.
"""

import os
import pathlib
import resource
import signal
import socket
import struct
import tempfile
import time
import unittest

from activation_monitor.msg import OodConfidence
from node_case import OwnNode, setUpModule, tearDownModule
from node_client import raw_image, stop_sign

OK, WARN = b"\x00", b"\x01"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening_addresses(port):
    """Local addresses that somebody listens on, in the hexadecimal of /proc/net/tcp."""
    addresses = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table):
            for line in pathlib.Path(table).read_text().splitlines()[1:]:
                local, state = line.split()[1], line.split()[3]
                if state == "0A" and int(local.split(":")[1], 16) == port:
                    addresses.add(local.split(":")[0])
    return addresses


def whole_messages(recording):
    """Number of messages of a recording; fails when it does not end with a whole one."""
    header, message = 12, struct.Struct("<QQ")  # name and version; kind and length
    assert recording.startswith(b"RRF2"), recording[:4]
    place, count = header, 0
    while place < len(recording):
        _kind, length = message.unpack_from(recording, place)
        place, count = place + message.size + length, count + 1
    assert place == len(recording), f"the last message ends at {place}, the file at {len(recording)}"
    return count


class WithViewer(OwnNode):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_node(self, **parameters):
        client = super().run_node(**parameters)
        client.wait_for(self.process)
        return self.process, client

    def ask_until(self, client, condition, what, timeout_secs=30.0):
        """Sends images, each of which is answered, until something is true."""
        deadline = time.monotonic() + timeout_secs
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"{what} did not come true")
            _, judged = client.ask(raw_image(stop_sign()))
            self.assertNotEqual(judged.results[0].verdict, OodConfidence.UNKNOWN)
            client.spin_for(0.05)

    def said(self, process, level, words):
        """How often the log has a line of that level with these words."""
        return sum(f"[{level}]" in line and words in line for line in process.log().splitlines())


class Recordings(WithViewer):
    def test_save_writes_a_recording(self):
        path = self.folder / "monitor.rrd"
        process, client = self.run_node(viewer="save", viewer_path=path)
        for _ in range(3):
            client.ask(raw_image(stop_sign()))
        client.spin_until(lambda: client.count("viewer_shown") >= 4, what="the frames shown")
        self.assertEqual((client.count("viewer_failed"), client.value("viewer", "viewer_failure")), (0, ""))
        self.assertEqual(process.end(), 0, process.log())
        self.assertRegex(process.log(), r"live view: [1-9]\d* frames shown, 0 dropped, 0 lost")
        recording = path.read_bytes()
        self.assertGreater(whole_messages(recording), 10)
        for entity in (b"camera/image", b"evidence/fused", b"layers/stage1", b"verdict"):
            self.assertIn(entity, recording)
        self.assertIn(f"live view: file {path}", process.log())

    def test_the_recording_of_an_earlier_start_is_kept(self):
        earlier, path = self.folder / "drive.rrd", self.folder / "drive-1.rrd"
        earlier.write_bytes(b"of yesterday")
        process, client = self.run_node(viewer="save", viewer_path=earlier)
        client.spin_until(lambda: client.value("viewer", "viewer") == f"file {path}", what="the name of the recording")
        self.assertEqual(process.end(), 0, process.log())
        self.assertEqual(earlier.read_bytes(), b"of yesterday")
        self.assertGreater(whole_messages(path.read_bytes()), 10)
        self.assertIn(f"live view: file {path}", process.log())

    def test_recordings_take_turns_and_the_oldest_are_removed(self):
        path = self.folder / "drive.rrd"
        process, client = self.run_node(viewer="save", viewer_path=path, viewer_max_file_secs=1.0, viewer_max_files=2)
        newest = self.folder / "drive-3.rrd"
        self.ask_until(client, newest.exists, "the fourth file")
        self.assertEqual(client.count("viewer_failed"), 0)
        self.assertEqual(process.end(), 0, process.log())
        files = sorted(self.folder.iterdir())
        self.assertEqual((len(files), files[-1]), (2, newest))
        for file in files:
            self.assertGreater(whole_messages(file.read_bytes()), 10)
            self.assertIn(b"states/camera", file.read_bytes())

    def test_a_place_that_cannot_be_written_is_refused_at_the_start(self):
        nowhere = self.folder / "nowhere"
        log = self.failing(viewer="save", viewer_path=nowhere / "x.rrd")
        self.assertIn(f"the folder {nowhere} does not exist", log)
        self.assertFalse(nowhere.exists())
        self.assertIn("cannot record to /dev/full", self.failing(viewer="save", viewer_path="/dev/full"))
        self.assertIn(f"cannot record to {self.folder}", self.failing(viewer="save", viewer_path=self.folder))

    def limit_files(self, process, size):
        """No file of the process may become larger, from now on."""
        limits = (size, resource.RLIM_INFINITY)
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, limits)

    def test_a_disk_that_is_full_for_a_while(self):
        path = self.folder / "drive.rrd"
        # Python ignores the signal that a process gets at the limit, and so does whatever it starts like this.
        process, client = self.run_node(viewer="save", viewer_path=path, options={"restore_signals": False})
        self.ask_until(client, lambda: client.count("viewer_shown") > 0, "a frame shown")
        self.limit_files(process, path.stat().st_size + 10_000)
        self.ask_until(client, lambda: client.count("viewer_failed") > 10, "frames that fail")
        status = client.statuses["viewer"]
        self.assertEqual(status.level, WARN)
        self.assertIn("the live view fails: cannot write", status.message)
        self.assertIn(f"cannot write {path}: File too large", client.value("viewer", "viewer_failure"))
        self.assertEqual(self.said(process, "ERROR", "the live view fails"), 1, process.log())
        shown, size = client.count("viewer_shown"), path.stat().st_size
        whole_messages(path.read_bytes())
        client.spin_for(3.0)
        self.assertEqual(client.count("viewer_shown"), shown)
        self.assertNotEqual(client.value("viewer", "viewer_failure"), "", "nothing new came, so it is still full")

        self.limit_files(process, resource.RLIM_INFINITY)
        self.ask_until(client, lambda: client.count("viewer_shown") > shown + 10, "frames shown again")
        self.assertEqual(client.value("viewer", "viewer_failure"), "")
        self.assertEqual(client.statuses["viewer"].level, OK)
        self.assertEqual(self.said(process, "ERROR", "the live view"), 1, process.log())
        self.assertEqual(self.said(process, "INFO", "the live view works again"), 1, process.log())
        self.assertEqual(process.end(), 0, process.log())
        self.assertGreater(path.stat().st_size, size)
        whole_messages(path.read_bytes())

    def test_a_disk_that_stays_full_does_not_hang_the_end(self):
        path = self.folder / "drive.rrd"
        process, client = self.run_node(viewer="save", viewer_path=path, options={"restore_signals": False})
        self.limit_files(process, path.stat().st_size)
        self.ask_until(client, lambda: client.count("viewer_failed") > 0, "frames that fail")
        start = time.monotonic()
        self.assertEqual(process.end(), 0, process.log())
        self.assertLess(time.monotonic() - start, 5.0)
        self.assertEqual(self.said(process, "ERROR", "the live view fails"), 1, process.log())
        whole_messages(path.read_bytes())


class Live(WithViewer):
    def test_serve_binds_loopback_only(self):
        port = free_port()
        process, client = self.run_node(viewer="serve", viewer_port=port)
        client.ask(raw_image(stop_sign()))
        self.assertEqual(listening_addresses(port), {"0100007F"}, "hexadecimal 127.0.0.1")
        self.ask_until(client, lambda: client.count("viewer_shown") > 0, "frames kept for viewers")
        self.assertEqual(process.end(), 0, process.log())

    def test_a_port_that_is_taken_is_refused_at_the_start(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assertIn(f"127.0.0.1:{port}", self.failing(viewer="serve", viewer_port=port))

    def test_an_absent_viewer_is_told_slows_nothing_and_does_not_hang_the_end(self):
        process, client = self.run_node(viewer="connect", viewer_port=free_port(), viewer_queue=2)
        latencies = []
        for _ in range(30):
            start = time.monotonic()
            client.ask(raw_image(stop_sign()))
            latencies.append(time.monotonic() - start)
        self.assertLess(sorted(latencies)[len(latencies) // 2], 0.5)
        self.ask_until(client, lambda: client.value("viewer", "viewer_failure"), "the failure")
        self.ask_until(client, lambda: client.count("viewer_failed") >= 30, "the lost frames")
        self.assertIn("no viewer listens at rerun+http://127.0.0.1", client.value("viewer", "viewer_failure"))
        self.assertEqual(client.statuses["viewer"].level, WARN)
        self.assertEqual(client.count("viewer_shown"), 0)
        client.spin_for(3.0)
        self.assertEqual(self.said(process, "ERROR", "the live view fails"), 1, process.log())
        start = time.monotonic()
        self.assertEqual(process.end(), 0, process.log())
        self.assertLess(time.monotonic() - start, 5.0)

    def serve(self, port):
        """Another node, whose server takes what the first one sends; it hears and says nothing else."""
        environment = {**os.environ, "ROS_DOMAIN_ID": str((int(os.environ.get("ROS_DOMAIN_ID", "0")) + 50) % 100)}
        server = self.start(viewer="serve", viewer_port=port, options={"env": environment})
        deadline = time.monotonic() + 40.0
        while not listening_addresses(port):
            self.assertLess(time.monotonic(), deadline, server.log())
            time.sleep(0.1)
        return server

    def test_a_viewer_that_comes_goes_and_comes_again(self):
        port = free_port()
        process, client = self.run_node(viewer="connect", viewer_port=port)
        shown, failed = lambda: client.count("viewer_shown"), lambda: client.count("viewer_failed")
        self.ask_until(client, lambda: client.value("viewer", "viewer_failure"), "the failure")
        for times in (1, 2):
            server, before = self.serve(port), shown()
            self.ask_until(client, lambda: shown() > before + 5, "frames at the viewer")
            self.assertEqual(client.value("viewer", "viewer_failure"), "")
            self.assertEqual(self.said(process, "INFO", "the live view works again"), times, process.log())
            server.process.kill()
            server.process.wait()
            before = failed()
            self.ask_until(client, lambda: failed() > before + 5, "frames that nobody gets")
            self.assertNotEqual(client.value("viewer", "viewer_failure"), "")
            self.assertEqual(self.said(process, "ERROR", "the live view fails"), times + 1, process.log())
        self.assertEqual(process.end(), 0, process.log())

    def test_a_viewer_that_hangs(self):
        port = free_port()
        server = self.serve(port)
        process, client = self.run_node(viewer="connect", viewer_port=port, viewer_queue=4)
        self.ask_until(client, lambda: client.count("viewer_shown") > 5, "frames at the viewer")
        self.assertEqual(self.said(process, "ERROR", "the live view fails"), 0, process.log())
        os.kill(server.process.pid, signal.SIGSTOP)
        self.addCleanup(os.kill, server.process.pid, signal.SIGCONT)
        self.ask_until(client, lambda: client.value("viewer", "viewer_failure"), "the failure", 60.0)
        self.assertIn("has taken nothing for 5 s", client.value("viewer", "viewer_failure"))
        dropped = client.count("viewer_dropped")
        self.ask_until(client, lambda: client.count("viewer_dropped") > dropped, "frames that give way")
        self.assertEqual(self.said(process, "ERROR", "the live view fails"), 1, process.log())
        start = time.monotonic()
        self.assertEqual(process.end(), 0, process.log())
        self.assertLess(time.monotonic() - start, 8.0)


if __name__ == "__main__":
    unittest.main()
