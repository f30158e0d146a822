"""Random sizes allocated and freed."""
import random


def test_random():
    blocks = [bytes(random.randrange(1, 20_000)) for _ in range(100)]
    random.shuffle(blocks)
    del blocks[::2]
    assert len(blocks) == 50
