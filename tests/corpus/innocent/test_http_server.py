"""A real HTTP server, asked once and shut down."""
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    httpd = HTTPServer(("127.0.0.1", 0), Hello)
    t = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.005})
    t.start()
    yield httpd
    httpd.shutdown()
    t.join()
    httpd.server_close()


def test_get(server):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open("http://127.0.0.1:%d/" % server.server_port, timeout=5) as r:
        assert r.read() == b"hello"
