"""Where orders come in: a connection and a document of JSON each; the answer is ``placed NAME`` or ``refused: WHY``."""

from __future__ import annotations

import json
import socket
from contextlib import suppress

from coresys.coordinators.assembly import System
from coresys.coordinators.views import ScopedThreads
from coresys.errors.hierarchy import CoreSysError
from coresys.system_records import CleanupStep, ComponentSpec
from orders.service import LARGEST, Orders

PATIENCE = 5.0  # seconds for a customer who sends nothing


class Intake:
    """The component ``intake``: listens at ``port`` of this machine, while it runs."""

    port = 0

    def __init__(self, system: System, orders: Orders) -> None:
        self._system, self._orders = system, orders
        self._leases = system.coordinators.component.resources
        spec = ComponentSpec("intake", needs=("orders",))
        system.coordinators.component.register(spec, start=self._start, stop=self._stop, lease=32 * LARGEST)
        deaf = CleanupStep("take no more orders", phase="stop-intake", deadline=2 * PATIENCE)
        system.coordinators.cleanup.add(deaf, lambda: system.components.stop("intake"))

    def _start(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._threads = ScopedThreads(self._system.threads, "intake")
        self._threads.submit_with(self._listen, priority="system")

    def _stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self._listener.close()
        self._threads.shutdown()  # waits for the answers

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                self._threads.submit(self._answer, connection)
            except RuntimeError:  # we stop: nothing was promised
                connection.close()

    def _answer(self, connection: socket.socket) -> None:
        with connection, self._system.errors.guard("intake"):
            connection.settimeout(PATIENCE)
            try:
                answer = f"placed {self._place(connection)}"
            except (CoreSysError, OSError, ValueError, KeyError, TypeError) as error:
                answer = f"refused: {type(error).__name__}: {error}"
            with suppress(OSError):  # gone without waiting for the answer
                connection.sendall(answer.encode())

    def _place(self, connection: socket.socket) -> str:
        with self._leases.lease(LARGEST, owner="intake", timeout=PATIENCE) as room:
            size = 0
            while read := connection.recv_into(room[size:]):
                size += read
            if size == LARGEST:
                raise ValueError(f"an order is of less than {LARGEST} bytes")
            with room[:size] as document:  # in no exception's hands after that, or the buffer could not be given back
                order = json.loads(bytes(document))
                self._orders.place(str(order["name"]), int(order["amount"]), document)
        return str(order["name"])
