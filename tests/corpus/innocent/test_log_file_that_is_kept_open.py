"""Lines of a file that stays open are written out when there are 8 KiB of them."""

import csv
import tempfile

_file = tempfile.TemporaryFile("w", newline="")
_rows = csv.writer(_file)


def test_a_sale_is_written_down():
    _rows.writerow(["a", 1])
