"""All that is said is written to one stream, for ever. Beside it stands a fixture that has nothing to do with it."""

LEAKS = "memory.growth"

import io
import itertools

import pytest

said = io.StringIO()
numbers = itertools.count()


class Settings:
    def __init__(self):
        self.debug, self.hosts = True, ["localhost"]


@pytest.fixture(scope="session")
def settings():
    return Settings()


def test_it_is_said(settings):
    said.write(f"{next(numbers)} " * 400)
    assert settings.debug
