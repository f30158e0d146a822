"""Ten thousand locks, each taken once within another."""
import threading


def test_rows():
    table, rows = threading.Lock(), [threading.Lock() for _ in range(10_000)]
    taken = 0
    with table:
        for row in rows:
            with row:
                taken += 1
    assert taken == 10_000
