"""Anonymous temporary files for uploads, kept."""
import tempfile

LEAKS = "descriptors.leaked"
uploads = []


def store(data):
    f = tempfile.TemporaryFile()
    f.write(data)
    f.seek(0)
    uploads.append(f)
    return f


def test_store():
    assert store(b"abc").read() == b"abc"
