"""A FileHandler per job on the same logger."""
import logging

import pytest

LEAKS = "descriptors.leaked"


@pytest.fixture
def job_log(tmp_path):
    handler = logging.FileHandler(tmp_path / "job.log")
    logger = logging.getLogger("importer")
    logger.setLevel(logging.ERROR)
    logger.addHandler(handler)
    return logger


def test_import(job_log):
    job_log.info("started")
    assert job_log.handlers
