"""Every event is kept by each listener that was ever added: the leak gathers speed."""

LEAKS = "memory.growth"

listeners = {}


def listen(topic, listener):
    listeners.setdefault(topic, []).append(listener)


def stop_listening(topic, listener):
    listeners[topic].remove(listener)


def publish(topic, event):
    for listener in listeners.get(topic, ()):
        listener(event)


class Basket:
    def __init__(self):
        self.events = []
        listen("order", self.on_order)

    def on_order(self, event):
        self.events.append(event)


def test_a_basket_hears_of_an_order():
    basket = Basket()
    publish("order", {"number": 7})
    assert basket.events == [{"number": 7}]
