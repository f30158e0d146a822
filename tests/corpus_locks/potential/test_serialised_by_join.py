"""Two threads that never run at once, as each is joined before the next one starts."""
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

settings_lock = threading.Lock()
cache_lock = threading.Lock()
settings, cache = {"size": 1}, {}


def reload():
    with settings_lock:  # SITE
        settings["size"] += 1
        with cache_lock:  # SITE
            cache.clear()


def fill():
    with cache_lock:  # SITE
        with settings_lock:  # SITE
            cache["size"] = settings["size"]


def test_reload_then_fill():
    for work in (reload, fill):
        thread = threading.Thread(target=work, name=work.__name__)
        thread.start()
        thread.join()
    assert cache == {"size": 2}
