"""Two decorators that memoize; only one of them forgets, and it is not the one in use."""
import functools
import uuid

LEAKS = "memory.growth"


def memoize_some(limit):
    def decorate(function):
        cache = {}

        @functools.wraps(function)
        def wrapper(*args):
            if len(cache) >= limit:
                cache.clear()
            if args not in cache:
                cache[args] = function(*args)
            return cache[args]

        return wrapper

    return decorate


def memoize(function):
    cache = {}

    @functools.wraps(function)
    def wrapper(*args):
        if args not in cache:
            cache[args] = function(*args)
        return cache[args]

    return wrapper


@memoize_some(900)
def whisper(text):
    return text.lower()


@memoize
def shout(text):
    return text.upper() + "!"


def test_shout():
    assert whisper("A") == "a"
    assert shout(uuid.uuid4().hex).endswith("!")
