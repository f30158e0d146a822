"""Writes and reads files under tmp_path."""
import json


def test_saves(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.json").write_text(json.dumps({"i": i}))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.json", "1.json", "2.json"]
