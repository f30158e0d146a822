"""Maps a file, closes the file, keeps the map (which has a descriptor of its own)."""
import mmap

LEAKS = "descriptors.leaked"
maps = []


def load(path):
    with open(path, "rb") as f:
        m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    maps.append(m)
    return m


def test_load(tmp_path):
    p = tmp_path / "index.bin"
    p.write_bytes(b"\1" * 100)
    assert load(p)[0] == 1
