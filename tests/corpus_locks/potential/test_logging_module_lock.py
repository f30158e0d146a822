"""The lock of the logging module: loggers are made under the plugin's lock, and making one takes that lock."""
import logging
import threading

FINDS = "locks.potential_deadlocks"
COUNT = 1
NEEDS = "order"

plugins_lock = threading.RLock()
made = []


class PluginLogger(logging.Logger):
    def __init__(self, name):
        super().__init__(name)
        with plugins_lock:  # SITE
            made.append(name)


def load(name):
    with plugins_lock:  # SITE
        return logging.getLogger(f"corpus.plugins.{name}")  # SITE


def test_each_plugin_has_a_logger():
    before = logging.getLoggerClass()
    logging.setLoggerClass(PluginLogger)
    try:
        logging.getLogger("corpus.core")  # SITE
        load("mail")
    finally:
        logging.setLoggerClass(before)
    assert made == ["corpus.core", "corpus.plugins.mail"]
