from collections.abc import Callable
from types import CodeType
from typing import Any

def prepare(
    locks: tuple[Any, ...],
    types: tuple[type, type, type],
    functions: tuple[Callable[..., Any], ...],
    values: tuple[Any, ...],
    /,
) -> list[dict[str, Any]]: ...
def frames() -> list[tuple[CodeType, int, dict[str, Any]]]: ...
