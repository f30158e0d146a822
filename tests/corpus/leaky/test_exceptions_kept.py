"""Exceptions kept with their tracebacks, hence frames and locals."""
LEAKS = "memory.growth"

errors = []


def parse(text):
    body = text * 10
    return int(body)


def safe_parse(text):
    try:
        return parse(text)
    except ValueError as e:
        errors.append(e)
        return None


def test_bad_number():
    assert safe_parse("nan!") is None
