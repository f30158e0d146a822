"""An executor for the whole session, shut down at its end."""
import concurrent.futures

import pytest


@pytest.fixture(scope="session")
def executor():
    with concurrent.futures.ThreadPoolExecutor(max_workers=3) as ex:
        yield ex


def test_executor(executor):
    futures = [executor.submit(divmod, n, 3) for n in range(6)]
    assert [f.result()[0] for f in futures] == [0, 0, 0, 1, 1, 1]
