import pytest
from shortlinks import codes


@pytest.mark.parametrize(("number", "code"), [(0, "0"), (61, "z"), (62, "10"), (3843, "zz")])
def test_there_and_back(number: int, code: str) -> None:
    assert codes.encode(number) == code
    assert codes.decode(code) == number


def test_a_code_has_no_sign() -> None:
    with pytest.raises(ValueError, match="no sign"):
        codes.encode(-1)


@pytest.mark.xfail(reason="look-alike characters are still told apart", strict=True)
def test_look_alikes_are_the_same() -> None:
    assert codes.decode("O") == codes.decode("0")
