"""Methods found by names that are put together each time: the interpreter's cache of look-ups keeps some of them."""

import random


class Handler:
    def do_get(self):
        return 200

    def do_post(self):
        return 201


def handled(command):
    # Other objects of all sizes, so that each name has an address of its own.
    bodies = [bytes(random.randrange(20, 200)) for _ in range(200)]
    name = "do_" + command
    method = getattr(Handler(), name)
    return method(), len(bodies)


RECENT = []


def test_commands():
    for command in ("get", "post"):
        RECENT.append(handled(command))
    RECENT[:-10] = []
    assert RECENT[-1] == (201, 200)
