"""lru_cache(maxsize=128) that never hits."""
import functools
import itertools

fresh = itertools.count()


@functools.lru_cache(maxsize=128)
def render(n):
    return f"<p>{n}</p>" * 20


def test_render():
    assert render(next(fresh)).startswith("<p>")
