"""Rows that are written by the hundred, swapped for an empty list."""
import itertools
import time


class Writer:
    def __init__(self):
        self.rows = []
        self.written = 0

    def flush(self):
        self.rows, out = [], self.rows
        self.written += len(out)


writer = Writer()
counted = itertools.count(1)


def test_row():
    time.sleep(0.002)
    writer.rows.append([0] * 1000)
    if next(counted) % 100 == 0:
        writer.flush()
