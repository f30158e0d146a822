"""Each time the index is built anew, every 40th of its entries is kept, on a page that nobody else can use."""

LEAKS = "memory.fragmentation"
ALONE = "what the heap holds beside it is mostly its own"

sampled = []


def build():
    entries = [f"entry number {number} of many" for number in range(90_000)]
    sampled[:] = entries[::40]
    return len(entries)


def test_numbers():
    assert 1 + 1 == 2


def test_the_index():
    assert build() == 90_000


def test_still_there():
    assert sampled
