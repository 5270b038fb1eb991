"""Test cases that run the node. A module imports setUpModule and tearDownModule beside them."""

import unittest

import rclpy
from node_client import Client, NodeProcess, free_shared_memory_of_the_killed, unconfigured_log
from sensor_msgs.msg import Image


def setUpModule():
    rclpy.init()


def tearDownModule():
    rclpy.shutdown()
    free_shared_memory_of_the_killed()


class SharedNode(unittest.TestCase):
    """One node and one client for all tests of a class."""

    parameters = {}
    image_type = Image

    @classmethod
    def setUpClass(cls):
        cls.process = NodeProcess(**cls.parameters)
        cls.client = Client(cls.image_type)
        try:
            cls.connect()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def connect(cls):
        """Waits until images and answers have a way."""
        cls.client.wait_for(cls.process)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.process.kill()


class OwnNode(unittest.TestCase):
    """Every test starts what it needs; it ends with the test."""

    image_type = Image

    def start(self, **parameters):
        """A node as a process; `parameters` are those of NodeProcess."""
        process = NodeProcess(**parameters)
        self.addCleanup(process.kill)
        return process

    def run_node(self, client=None, **parameters):
        """A node and a client that listens: `process` and `client` of the test."""
        self.process = self.start(**parameters)
        self.client = client or Client(self.image_type)
        self.addCleanup(self.client.close)
        return self.client

    def failing(self, **parameters):
        """Log of a node whose configuration fails."""
        return unconfigured_log(self.start(**parameters))
