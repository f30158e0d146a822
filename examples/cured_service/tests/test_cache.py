from shortlinks import cache


def test_a_request_is_answered_from_the_cache() -> None:
    asked = []

    def load(code: str) -> str:
        asked.append(code)
        return f"https://example.org/{code}"

    request = cache.new_request_id()
    first = cache.respond("abc", request, load)
    again = cache.respond("abc", request, load)

    assert first["Location"] == again["Location"] == "https://example.org/abc"
    assert len(asked) <= 1


def test_request_ids_differ() -> None:
    assert cache.new_request_id() != cache.new_request_id()
