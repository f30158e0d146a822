"""Files opened for reading and kept."""
LEAKS = "descriptors.leaked"

open_files = {}


def tail(path):
    f = open(path)
    open_files[f.fileno()] = f
    return f.readlines()[-1]


def test_tail(tmp_path):
    p = tmp_path / "log.txt"
    p.write_text("a\nb\n")
    assert tail(p) == "b\n"
