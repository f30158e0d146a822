"""A gc callback appended by each profiler, removed by none."""
import gc

LEAKS = "memory.growth"


class GcTimer:
    def __init__(self):
        self.samples = [0.0] * 16
        gc.callbacks.append(self.on_gc)

    def on_gc(self, phase, info):
        self.samples[0] += 1


def test_timer():
    timer = GcTimer()
    assert timer.on_gc in gc.callbacks
