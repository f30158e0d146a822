"""A client of the service that keeps its connection for the next request."""

from __future__ import annotations

import itertools
import json
from http.client import HTTPConnection, HTTPResponse
from typing import Any

_numbers = itertools.count(1)
_kept: dict[str, HTTPConnection] = {}


def get_status(address: tuple[str, int], path: str) -> int:
    """The status of one request, on a connection of its own."""
    connection = HTTPConnection(*address, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


class Client:
    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.name = f"client-{next(_numbers)}"
        self.closed = False

    def shorten(self, url: str) -> str:
        response = self._send("POST", "/", json.dumps({"url": url}))
        answer: dict[str, Any] = json.loads(response.read())
        if response.status != 201:
            raise ValueError(answer["error"])
        return answer["code"]

    def resolve(self, code: str) -> str | None:
        response = self._send("GET", f"/{code}")
        response.read()
        return response.headers["Location"]

    def close(self) -> None:
        self.closed = True

    def _send(self, method: str, path: str, body: str | None = None) -> HTTPResponse:
        connection = _kept.get(self.name)
        if connection is None:
            connection = HTTPConnection(*self.address, timeout=5)
            connection.connect()
            _kept[self.name] = connection
        connection.request(method, path, body)
        return connection.getresponse()
