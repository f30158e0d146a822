"""A short command dropped without a wait: subprocess itself waits for it when the next one is started."""
import subprocess
import warnings


def notify(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        subprocess.Popen(["true", text], stdin=subprocess.DEVNULL)
    return len(text)


def test_notify():
    assert notify("done") == 4
