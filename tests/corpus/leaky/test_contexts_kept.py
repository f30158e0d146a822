"""Whole contexts copied and kept with their values."""
import contextvars

LEAKS = "memory.growth"
request = contextvars.ContextVar("request")
deferred = []


def later(fn, value):
    ctx = contextvars.copy_context()
    ctx.run(request.set, value)
    deferred.append((ctx, fn))


def test_later():
    later(print, {"path": "/", "headers": {}})
    assert deferred[-1][0][request]["path"] == "/"
