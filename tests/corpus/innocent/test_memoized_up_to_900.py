"""A decorator that memoizes, and forgets everything once it knows 900 answers."""
import functools
import uuid


def memoize(limit):
    def decorate(function):
        cache = {}

        @functools.wraps(function)
        def wrapper(*args):
            if args not in cache:
                if len(cache) >= limit:
                    cache.clear()
                cache[args] = function(*args)
            return cache[args]

        return wrapper

    return decorate


@memoize(900)
def shout(text):
    return text.upper() + "!"


def test_shout():
    assert shout(uuid.uuid4().hex).endswith("!")
