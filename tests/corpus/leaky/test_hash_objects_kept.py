"""hashlib objects kept; the state is OpenSSL's own memory."""
import hashlib

LEAKS = "memory.growth"
digests = []


def etag(body):
    h = hashlib.new("sha256")
    h.update(body)
    digests.append(h)
    return h.hexdigest()


def test_etag():
    assert len(etag(b"hello")) == 64
