"""A daemon thread that polls for ever."""
import threading
import time

LEAKS = "threads.leaked"


def poll_config(state):
    while True:
        state["polled"] = True
        time.sleep(5)


def test_config_is_polled():
    state = {}
    t = threading.Thread(target=poll_config, args=(state,), name="config-poller")
    t.daemon = True
    t.start()
    assert t.is_alive()
