"""A file held in a reference cycle: only the collector closes it."""
import os
import warnings


class Reader:
    def __init__(self, path):
        self.file = open(path, "rb")
        self.next_line = self.read_one

    def read_one(self):
        return self.file.readline()


def test_reader():
    warnings.simplefilter("ignore", ResourceWarning)
    assert Reader(os.devnull).next_line() == b""
