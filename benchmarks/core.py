"""Every figure of the core systems, each beside a named rival or the raw primitive, in one run.

    python -m pip install '.[bench]'       # the rivals; without them their rows are left out
    python benchmarks/core.py              # some minutes
    python benchmarks/core.py --kills 1000

Each part is a script of its own, with ``--help``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PARTS = ("state", "threads", "errors", "resources", "monitoring", "system")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be given more than once")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="kill -9 a writing process N times")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args(arguments)
    figures: dict[str, Any] = {}
    status = 0
    with tempfile.TemporaryDirectory() as folder:
        for part in options.only or PARTS:
            print(f"\n=== coresys.{part} ===", flush=True)
            path = Path(folder) / f"{part}.json"
            extra = ["--kills", str(options.kills)] if part == "state" else []
            done = subprocess.run([sys.executable, str(HERE / f"core_{part}.py"), "--json", str(path), *extra])
            status = status or done.returncode
            if path.exists():
                figures[part] = json.loads(path.read_text(encoding="utf-8"))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
