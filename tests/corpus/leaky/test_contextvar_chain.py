"""A context variable that carries its own past along."""
from contextvars import ContextVar

LEAKS = "memory.growth"

current_span = ContextVar("current_span", default=None)


def start_span(name):
    span = {"name": name, "parent": current_span.get()}
    current_span.set(span)  # never reset
    return span


def test_span():
    span = start_span("query")
    assert current_span.get() is span
