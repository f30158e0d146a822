"""A cache with a bound fills in the same test, and is a hundred times what leaks beside it."""
import functools
import itertools

LEAKS = "memory.growth"
numbers = itertools.count()
seen = {}


@functools.lru_cache(maxsize=256)
def render(number):
    return bytes(8_000)


def handle(request):
    seen[request] = object()
    return render(request)


def test_handle():
    assert len(handle(next(numbers))) == 8_000
