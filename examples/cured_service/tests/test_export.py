import shutil
import sys
import zlib
from pathlib import Path

import pytest
from shortlinks.export import Exporter, check_sum

needs_cat = pytest.mark.skipif(shutil.which("cat") is None, reason="needs cat")


@needs_cat
@pytest.mark.parametrize("ending", ["finish", "cancel"])
def test_exports(tmp_path: Path, ending: str) -> None:
    exporter = Exporter(tmp_path / "links.csv")
    exporter.write("1,https://example.org/")

    if ending == "finish":
        assert exporter.finish() == 23
        assert exporter.path.read_text() == "1,https://example.org/\n"
    else:
        exporter.cancel()
        assert not exporter.path.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the copy is made by the C library")
def test_the_check_sum_is_that_of_the_content() -> None:
    content = b"1,https://example.org/\n" * 700
    assert check_sum(content) == zlib.crc32(content)
