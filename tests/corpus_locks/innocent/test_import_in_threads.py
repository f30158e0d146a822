"""Modules that are imported by threads under a lock."""
import importlib
import threading


def test_imports():
    lock, names = threading.Lock(), []

    def load(name):
        with lock:
            names.append(importlib.import_module(name).__name__)

    threads = [threading.Thread(target=load, args=(name,)) for name in ("colorsys",) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ["colorsys"] * 3
