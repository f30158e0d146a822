"""Formatting, struct and strptime, which keep small caches."""
import datetime
import struct
import time


def test_formats():
    now = datetime.datetime(2024, 5, 17, 12, 30)
    assert f"{now:%Y-%m-%d} {3.14159:>10.2f}".startswith("2024")
    assert struct.unpack("<IHB", struct.pack("<IHB", 1, 2, 3)) == (1, 2, 3)
    assert time.strptime("17 May 2024", "%d %b %Y").tm_yday == 138
