"""Keeps the last error only, replaced each time."""
last_error = None


def attempt(text):
    global last_error
    try:
        return int(text)
    except ValueError as e:
        last_error = e


def test_attempt():
    assert attempt("x" * 100) is None
    assert "invalid literal" in str(last_error)
