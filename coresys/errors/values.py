"""Values as short texts: bounded in count, characters and depth, masked, and without running anybody's code.

A failing program's locals may hold anything. What is shown of them is read by the interpreter's own types and types of
the standard library that are known to be harmless; of everything else only the class is named. No ``__repr__``,
``__str__``, ``__getattr__``, ``__class__`` or ``__iter__`` of a program is called: they may raise, wait for a lock that
the failing code holds, ask a database, or never come back. ``describe`` adds types whose texts somebody vouches for.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import FunctionType
from typing import Any

from coresys.errors.secrets import MASK, SECRETS, Secrets, is_option

_BIG = 128  # bits
# Of a class itself, not what its metaclass makes of it.
_qualname: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_module: Callable[[type], Any] = type.__dict__["__module__"].__get__
_mro: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_namespace: Callable[[type], Mapping[str, Any]] = type.__dict__["__dict__"].__get__
# Classes are told by identity: a metaclass may have an __eq__ and a __hash__ of its own, or none.
_PLAIN = frozenset(map(id, (bool, float, complex, type(None), type(...))))  # of which repr is short and quick
_UNREADABLE = "<unreadable>"
_TELLING = re.compile(r"[=:,\s]").search  # without any of these in a text, there is nothing that a secret is told by
_MOST_OPAQUE = 512  # bytes of a Decimal and the like: their texts are as long as they are

# By module and name, so that nothing is imported for them; whether it is that very class is looked at.
_HARMLESS = {
    ("datetime", "date"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("decimal", "Decimal"),
    ("pathlib", "PosixPath"),
    ("pathlib", "PurePosixPath"),
    ("pathlib", "WindowsPath"),
    ("pathlib._local", "PosixPath"),
    ("pathlib._local", "PurePosixPath"),
    ("pathlib._local", "WindowsPath"),
    ("uuid", "UUID"),
}


class Values:
    """How much of values is shown.

    ``frames``: the innermost ones whose locals are shown; ``count``: of the locals of each; ``items``: of a container;
    ``depth``: containers in containers; ``characters``: of one value; ``total``: of all values of an error.
    ``describe`` makes texts of values of exactly that class.

    >>> values = Values(items=2)
    >>> values.show("order", {"id": 7, "card_token": "4111", "lines": [1, 2, 3]})
    "{'id': 7, 'card_token': ***, ...1 more}"
    >>> values.show("headers", [(b"authorization", b"Basic c2VjcmV0")])
    "[(b'authorization', ***)]"
    >>> values.show("anything", object())
    '<object>'
    """

    __slots__ = (
        *("_bases", "_describe", "_showing", "secrets"),
        *("characters", "count", "depth", "frames", "items", "total"),
    )

    def __init__(
        self,
        *,
        frames: int = 10,
        count: int = 12,
        characters: int = 100,
        depth: int = 3,
        items: int = 5,
        total: int = 6000,
        secrets: Secrets = SECRETS,
        describe: Mapping[type, Callable[[Any], str]] | None = None,
    ) -> None:
        if not all(each >= 1 for each in (frames, count, characters, depth, items, total)):  # NaN is not
            raise ValueError("frames, count, characters, depth, items and total are at least 1")
        self.frames, self.count, self.total = frames, count, total
        self.characters, self.depth, self.items = characters, depth, items
        self.secrets = secrets
        self._describe = {id(kind): (kind, text) for kind, text in (describe or {}).items()}
        showing: dict[type, Callable[[Any, int], str]] = {
            str: self._str,
            bytes: self._bytes,
            bytearray: self._bytes,
            int: self._int,
            list: self._list,
            tuple: self._tuple,
            set: self._set,
            frozenset: self._set,
            dict: self._dict,
            type: _class,
            FunctionType: _function,
        }
        self._showing = {id(kind): each for kind, each in showing.items()}
        self._bases = tuple((base, showing[base]) for base in (str, int, dict))

    def of(self, namespace: Mapping[str, object], room: int) -> tuple[tuple[str, str], ...]:
        """Names and texts of the first of some variables, until their texts have ``room`` characters."""
        shown = []
        secret, plain, asked = self.secrets.names, _PLAIN, self.secrets.asks
        for name, value in islice(namespace.items(), self.count):
            # Most are simple: no call but repr for those.
            if id(type(value)) in plain and not asked and not secret(name):
                text = repr(value)
            else:
                text = self.show(name, value)
            shown.append((name, text))
            room -= len(text)
            if room <= 0:
                break
        return tuple(shown)

    def show(self, name: str, value: object) -> str:
        """A value as a text of at most ``characters`` and a few; masked, if its name is that of a secret."""
        try:
            if self.secrets.hides(name, value):
                return MASK
            text = self._any(value, self.depth)
        except Exception:  # a container that another thread changes meanwhile; a description that fails
            return _UNREADABLE
        return text if len(text) <= self.characters else f"{text[: self.characters]}..."

    def _any(self, value: object, depth: int) -> str:
        kind = type(value)
        if id(kind) in _PLAIN:
            return repr(value)
        if self._describe and id(kind) in self._describe:
            return self._text(str(self._describe[id(kind)][1](value)), quoted=False)
        showing = self._showing.get(id(kind))
        if showing is not None:
            return showing(value, depth)
        return self._other(value, kind, depth)

    def _other(self, value: Any, kind: type, depth: int) -> str:
        name = _qualname(kind).rpartition("<locals>.")[2]
        bases = _mro(kind)
        for base, showing in self._bases:
            # Read through the base, whatever the class has in its place. (isinstance would ask value.__class__.)
            if _is_among(base, bases):
                return f"{name}({showing(value, depth)})"
        if _is_among(tuple, bases):
            return f"{name}({self._fields(value, bases, depth) or self._tuple(value, depth)})"
        for sized in (list, set, frozenset):
            if _is_among(sized, bases):
                return f"<{name} of {sized.__len__(value)}>"
        module = _module(kind)
        listed = type(module) is str and (module, name) in _HARMLESS
        if listed and getattr(sys.modules.get(module), name, None) is kind and value.__sizeof__() <= _MOST_OPAQUE:
            return self._text(repr(value), quoted=False)
        return f"<{name}>"

    def _text(self, text: str, *, quoted: bool = True) -> str:
        if quoted and len(text) <= self.characters and not _TELLING(text):
            return repr(text)
        # More than is shown is looked at, so that a secret is not cut in a way in which it is not told for one.
        window = text[: self.characters + 200]
        scrubbed = self.secrets.scrub(window, cut=len(window) < len(text))
        shown = scrubbed[: self.characters]
        rest = "..." if len(shown) < len(scrubbed) or len(window) < len(text) else ""
        return f"{shown!r}{rest}" if quoted else f"{shown}{rest}"

    def _str(self, value: str, depth: int) -> str:
        return self._text(str.__getitem__(value, slice(self.characters + 201)))

    def _bytes(self, value: bytes | bytearray, depth: int) -> str:
        text = bytes(value[: self.characters + 201]).decode("latin-1")
        return f"b{self._text(text)}"

    def _int(self, value: int, depth: int) -> str:
        # repr of a long one takes quadratic time, and is refused beyond 4300 digits
        bits = int.bit_length(value)  # of the base: a subclass may have its own
        return int.__repr__(value) if bits <= _BIG else f"<int of {bits} bits>"

    def _list(self, value: list[object], depth: int) -> str:
        if len(value) == 2 and type(value[0]) in (str, bytes) and self._hides_name(_as_name(value[0]), None):
            return f"[{self._any(value[0], depth)}, {MASK}]"
        return f"[{self._several(list.__iter__(value), list.__len__(value), depth)}]"

    def _tuple(self, value: tuple[object, ...], depth: int) -> str:
        size = tuple.__len__(value)
        if size == 2:  # perhaps a name and a value, as of a header
            name = tuple.__getitem__(value, 0)
            if type(name) in (str, bytes) and self.secrets.hides(_as_name(name), tuple.__getitem__(value, 1)):
                return f"({self._any(name, depth)}, {MASK})"
        inside = self._several(tuple.__iter__(value), size, depth)
        return f"({inside},)" if size == 1 else f"({inside})"

    def _fields(self, value: tuple[object, ...], bases: tuple[type, ...], depth: int) -> str:
        """Of a named tuple, whose fields have names that may be those of secrets; of others nothing."""
        names: object = next((own["_fields"] for own in map(_namespace, bases) if "_fields" in own), None)
        if type(names) is not tuple or len(names) != tuple.__len__(value) or not all(type(n) is str for n in names):
            return ""
        if depth <= 0:
            return f"...{len(names)}"
        shown = [
            f"{name}={MASK if self.secrets.hides(name, each) else self._any(each, depth - 1)}"
            for name, each in islice(zip(names, tuple.__iter__(value), strict=True), self.items)
        ]
        if len(names) > self.items:
            shown.append(f"...{len(names) - self.items} more")
        return ", ".join(shown)

    def _set(self, value: set[object] | frozenset[object], depth: int) -> str:
        if not value:
            return "set()"
        return f"{{{self._several(iter(value), len(value), depth)}}}"

    def _several(self, values: Iterable[object], size: int, depth: int) -> str:
        if not size:
            return ""
        if depth <= 0:
            return f"...{size}"
        asked, given = self.secrets.asks, False
        parts = []
        for each in islice(values, self.items):
            # Of a command line, perhaps: an option that is given a secret, by what comes next.
            option = _as_argument(each)
            hidden = (given and not (option and is_option(option))) or (asked and self.secrets.hides("", each))
            parts.append(MASK if hidden else self._any(each, depth - 1))
            given = option != "" and not hidden and self.secrets.takes(option)
        if size > self.items:
            parts.append(f"...{size - self.items} more")
        return ", ".join(parts)

    def _dict(self, value: dict[object, object], depth: int) -> str:
        size = dict.__len__(value)
        if depth <= 0 and size:
            return f"{{...{size}}}"
        hides = self.secrets.hides if self.secrets.asks else self._hides_name
        parts = [
            f"{self._any(key, 0)}: {MASK if hides(_as_name(key), each) else self._any(each, depth - 1)}"
            for key, each in islice(dict.items(value), self.items)
        ]
        if size > self.items:
            parts.append(f"...{size - self.items} more")
        return f"{{{', '.join(parts)}}}"

    def _hides_name(self, name: str, value: object) -> bool:
        return bool(name) and self.secrets.names(name)


def _is_among(kind: type, bases: tuple[type, ...]) -> bool:
    return any(base is kind for base in bases)


def _class(value: type, depth: int) -> str:
    return f"<class {_qualname(value)}>"


def _function(value: FunctionType, depth: int) -> str:
    return f"<function {value.__qualname__}>"


def _as_argument(value: Any) -> str:
    """A text that may be an option of a command line; of anything else, and of most texts, nothing."""
    kind = type(value)
    if kind is str:
        return value[:64] if value[:1] == "-" else ""
    return str(value[:64], "latin-1") if kind is bytes and value[:1] == b"-" else ""


def _as_name(key: Any) -> str:
    kind = type(key)
    if kind is str:
        return str(key)
    if kind is bytes:
        return str(key[:200], "latin-1")
    if _is_among(str, _mro(kind)):
        return str.__getitem__(key, slice(None))
    return ""
