"""The HTTP front: redirects and new links on one port, the health check on another."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from . import rules
from .store import Store


class LinkHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: _HTTPServer

    def do_GET(self) -> None:
        url = self.server.store.find(self.path.lstrip("/"))
        if url is None:
            self._answer(404, {"error": "no such link"})
        else:
            self._answer(302, {"url": url}, location=url)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        url = json.loads(self.rfile.read(length))["url"]
        if rules.is_web_address(url):
            self._answer(201, {"code": self.server.store.add(url)})
        else:
            self._answer(400, {"error": "not a web address"})

    def _answer(self, status: int, body: dict[str, str], location: str | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        if location is not None:
            self.send_header("Location", location)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = False  # server_close() waits for the requests under way

    def __init__(self, store: Store) -> None:
        self.store = store
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), LinkHandler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # without the look-up of our own name
        self.server_name, self.server_port = self.server_address[:2]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the other side was first


class LinkServer:
    def __init__(self, store: Store) -> None:
        self._server = _HTTPServer(store)
        self.address = ("127.0.0.1", self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)

    def __enter__(self) -> LinkServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()


class HealthHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


_health_servers: list[HealthServer] = []


class HealthServer:
    def __init__(self) -> None:
        self._server = socketserver.TCPServer(("127.0.0.1", 0), HealthHandler)
        self.address = ("127.0.0.1", self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)

    def start(self) -> None:
        self._thread.start()
        _health_servers.append(self)

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        _health_servers.remove(self)
