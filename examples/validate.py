"""Run the plugin on the leaky example and on its cured twin, and check that only the leaky one is convicted.

Writes build/leaky.json and build/cured.json. Exit status 0 when every planted leak was found and nothing else was.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build"


def run(example: str) -> dict[str, set[str]]:
    """Tests of an example that have findings of level error, with their keys."""
    BUILD.mkdir(exist_ok=True)
    target = BUILD / f"{example}.json"
    target.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-W", "ignore", "--tb=short"]
    command += ["--coresys-budget", "--coresys-profile", "strict", "--coresys-json", str(target)]
    subprocess.run(command, cwd=HERE / f"{example}_service", check=False)
    tests = json.loads(target.read_text(encoding="utf-8"))["tests"]
    found = {test["nodeid"]: {f["key"] for f in test["findings"] if f["level"] == "error"} for test in tests}
    return {nodeid: keys for nodeid, keys in found.items() if keys}


def main() -> int:
    planted = {}
    for line in (HERE / "planted.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            key, nodeid = line.split(None, 1)
            planted[nodeid] = key
    leaky, cured = run("leaky"), run("cured")
    wrong = [f"not found: {nodeid} ({key})" for nodeid, key in planted.items() if key not in leaky.get(nodeid, ())]
    wrong += [f"not planted: {nodeid} {sorted(keys)}" for nodeid, keys in leaky.items() if nodeid not in planted]
    wrong += [f"in the cured twin: {nodeid} {sorted(keys)}" for nodeid, keys in cured.items()]
    print("\n".join(wrong) or f"validated: {len(planted)} planted leaks found, nothing else; the cured twin is clean")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
