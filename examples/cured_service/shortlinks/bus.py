"""Who wants to hear of what: topics, and the dashboard that listens to them."""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[int], None]

_listeners: dict[str, list[Listener]] = {}


def subscribe(topic: str, listener: Listener) -> None:
    _listeners.setdefault(topic, []).append(listener)


def unsubscribe(topic: str, listener: Listener) -> None:
    _listeners[topic].remove(listener)


def publish(topic: str, value: int) -> int:
    listeners = list(_listeners.get(topic, ()))
    for listener in listeners:
        listener(value)
    return len(listeners)


class Dashboard:
    """Clicks by the hour of the day, as long as it is open."""

    def __init__(self) -> None:
        self.clicks = dict.fromkeys(range(24), 0)
        self.is_open = True
        subscribe("click", self.on_click)

    def on_click(self, hour: int) -> None:
        self.clicks[hour] = min(self.clicks[hour] + 1, 99)

    def close(self) -> None:
        self.is_open = False
        unsubscribe("click", self.on_click)
