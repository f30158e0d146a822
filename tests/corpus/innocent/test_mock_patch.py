"""patch() over the standard library, undone at the end."""
import os
from unittest.mock import patch


def home():
    return os.path.expanduser("~")


@patch.dict(os.environ, {"HOME": "/home/eve"})
@patch("os.path.expanduser", autospec=True, return_value="/home/bob")
def test_home(expanduser):
    assert home() == "/home/bob"
    expanduser.assert_called_once_with("~")
