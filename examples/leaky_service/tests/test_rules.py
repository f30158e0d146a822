import pytest
from shortlinks import rules


def test_blocked_domains_are_refused() -> None:
    allows = rules.block_domains(["Spam.example", "Malware.example", "Phishing.example"])

    assert not allows("https://spam.example/win")
    assert allows("https://example.org/")
    assert rules.active_rules() >= 1


@pytest.mark.parametrize(
    ("url", "good"),
    [("https://example.org/a", True), ("ftp://example.org/a", False), ("example.org", False), ("https://", False)],
)
def test_web_addresses(url: str, good: bool) -> None:
    assert rules.is_web_address(url) is good
