"""A logger named after each object: loggers live for ever."""
import itertools
import logging

LEAKS = "memory.growth"
ids = itertools.count(1)


class Job:
    def __init__(self):
        self.id = next(ids)
        self.log = logging.getLogger("jobs.%d" % self.id)

    def run(self):
        self.log.debug("running")
        return self.id


def test_job_runs():
    assert Job().run() > 0
