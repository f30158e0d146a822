from shortlinks import metrics
from shortlinks.metrics import Counter, Gauge


def test_counters_add_up() -> None:
    counter = Counter()
    counter.add("redirects")
    counter.add("redirects", 4)
    assert counter.values == {"redirects": 5}


def test_the_snapshot_has_every_gauge() -> None:
    length = Gauge("queue.length")
    age = Gauge("queue.age")
    length.set(3)
    age.set(0.25)

    assert Gauge.snapshot() == {"queue.length": 3, "queue.age": 0.25}


def test_slow_statements_are_reported() -> None:
    metrics.note_slow("SELECT url FROM links", 2.5)
    assert "2.5 s  SELECT url FROM links" in metrics.flush_slow()
