"""Sorts and serialises."""
import json
import random


def test_round_trip():
    rows = [{"id": i, "score": random.random(), "tags": ["a", str(i)]} for i in range(100)]
    rows.sort(key=lambda r: r["score"])
    assert json.loads(json.dumps(rows)) == rows
