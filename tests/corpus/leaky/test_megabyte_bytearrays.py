"""Keeps a bytearray of 1 MB per run."""
LEAKS = "memory.growth"

frames = []


def grab_frame():
    frame = bytearray(1024 * 1024)
    frames.append(frame)
    return frame


def test_frame_size():
    assert len(grab_frame()) == 1 << 20
