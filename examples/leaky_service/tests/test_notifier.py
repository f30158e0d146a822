from __future__ import annotations

import asyncio

from shortlinks.notifier import Notifier


class Mailbox:
    def __init__(self) -> None:
        self.events: list[str] = []

    async def send(self, event: str) -> bool:
        await asyncio.sleep(0)
        self.events.append(event)
        return event != "lost"


def test_events_arrive() -> None:
    mailbox = Mailbox()
    notifier = Notifier(mailbox.send)

    assert asyncio.run(notifier.deliver(["created", "lost", "clicked"])) == 2
    assert mailbox.events == ["created", "lost", "clicked"]


def test_events_arrive_on_the_loop_of_the_service() -> None:
    assert Notifier(Mailbox().send).notify(["created", "clicked"]) == 2


def test_events_arrive_while_the_heart_beats() -> None:
    notifier = Notifier(Mailbox().send)
    notifier.start()
    assert notifier.notify(["created"]) == 1
    notifier.close()
