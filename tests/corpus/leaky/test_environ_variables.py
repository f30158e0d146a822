"""A new environment variable per job."""
import os
import uuid

LEAKS = "memory.growth"


def export_job(value):
    name = "JOB_" + uuid.uuid4().hex.upper()
    os.environ[name] = value
    return name


def test_export():
    assert os.environ[export_job("x" * 64)] == "x" * 64
