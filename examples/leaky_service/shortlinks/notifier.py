"""Notifications, sent side by side on the service's own event loop."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Awaitable, Callable, Iterable

Send = Callable[[str], Awaitable[bool]]

_loop: asyncio.AbstractEventLoop | None = None


def service_loop() -> asyncio.AbstractEventLoop:
    global _loop
    if _loop is None:
        _loop = asyncio.new_event_loop()
        atexit.register(_loop.close)
    return _loop


class Notifier:
    def __init__(self, send: Send) -> None:
        self.send = send
        self._heartbeat: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Say from time to time that the service is alive."""
        self._heartbeat = service_loop().create_task(self._beat())

    def notify(self, events: Iterable[str]) -> int:
        """Send *events*; how many arrived."""
        return service_loop().run_until_complete(self.deliver(events))

    async def deliver(self, events: Iterable[str]) -> int:
        arrived = await asyncio.gather(*(self.send(event) for event in events))
        return sum(arrived)

    def close(self) -> None:
        self._heartbeat = None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(3600)
            await self.send("alive")
