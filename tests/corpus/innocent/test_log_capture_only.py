"""Warnings logged without caplog: pytest captures them anyway."""
import logging


def test_warns():
    for i in range(50):
        logging.getLogger("app.%d" % (i % 5)).warning("disk at %d %% %s", i, "!" * 100)
