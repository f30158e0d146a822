"""A unittest.TestCase with class-wide and per-test resources, all cleaned."""
import socket
import unittest


class ServerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.table = list(range(10_000))
        cls.listener = socket.create_server(("127.0.0.1", 0))

    @classmethod
    def tearDownClass(cls):
        cls.listener.close()
        del cls.table

    def setUp(self):
        self.client = socket.create_connection(self.listener.getsockname())
        self.addCleanup(self.client.close)

    def test_accepts(self):
        conn, _ = self.listener.accept()
        self.addCleanup(conn.close)
        self.client.sendall(b"x")
        self.assertEqual(conn.recv(1), b"x")
