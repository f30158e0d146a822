"""A new URL each run: urllib.parse keeps the last ones that it took apart."""
import uuid
from urllib.parse import parse_qs, urljoin, urlsplit


def test_url():
    token = uuid.uuid4().hex
    url = urljoin(f"http://{token[:8]}.example.org/", f"/items?token={token}")
    assert parse_qs(urlsplit(url).query)["token"] == [token]
