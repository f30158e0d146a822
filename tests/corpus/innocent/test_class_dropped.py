"""A class made in the test and dropped."""
import dataclasses


def test_dataclass():
    @dataclasses.dataclass(frozen=True)
    class Point:
        x: int
        y: int = 0

    assert dataclasses.asdict(Point(1)) == {"x": 1, "y": 0}
