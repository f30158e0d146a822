"""Bound methods subscribed to a global bus and never unsubscribed."""
LEAKS = "memory.growth"


class Bus:
    def __init__(self):
        self.subscribers = {}

    def subscribe(self, topic, fn):
        self.subscribers.setdefault(topic, []).append(fn)

    def publish(self, topic, *args):
        for fn in self.subscribers.get(topic, [])[-3:]:
            fn(*args)


bus = Bus()


class Widget:
    def __init__(self):
        self.clicks = 0
        bus.subscribe("click", self.on_click)

    def on_click(self, x):
        self.clicks += x


def test_widget_hears_clicks():
    w = Widget()
    bus.publish("click", 2)
    assert w.clicks == 2
