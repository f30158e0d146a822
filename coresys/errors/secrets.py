"""What must not be written down: names that stand for secrets, and secrets inside of texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from re import Pattern

MASK = "***"

# A word too many costs a value in a report; a word too few, a password in it. Long words are looked for anywhere in a
# name, short ones between its words; "key" ends words too (apikey), and takes "monkey" with it.
_ANYWHERE = "passw|passphrase|secret|token|credential|cookie|session|authoriz|authent|bearer|signature"
_WORDS = "pass|pwd|pw|auth|oauth|creds?|pin|otp|cvv|cvc|ssn|sid|salt|jwt|csrf|xsrf|sig|dsn|iban"
_NAME = re.compile(rf"{_ANYWHERE}|keys?(?![a-z])|(?<![a-z])(?:{_WORDS})(?![a-z])")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# In texts: what stands before @ in an address, what is assigned to a secret name, what follows the name of a scheme.
# Each begins at a fixed word and is bounded, so that no text takes long.
_ADDRESS = re.compile(r"://(?:[^\s/@:]{0,200}:[^\s@]{1,4000}(?:@[^\s/@]{1,200})*|[^\s/@:?#]{1,4000})@")
_ADDRESS_CUT = re.compile(r"://[^\s/@:]{0,200}:[^\s@]{1,4000}\Z")
_NETLOC = re.compile(r"\A[^\s/@:]{1,200}:[^\s/@]{1,4000}@")  # an address without its scheme, as urlsplit leaves it
_VALUE = (
    r"""(?:b?(\\{0,4}["'])(?:(?!\2).){0,4000}(?:\2|\Z)|\[[^\]]{0,4000}\]?|\([^)]{0,4000}\)?|\{[^}]{0,4000}\}?"""
    r"""|[^\s"'&,;)}\]]+(?:["'][^"']{0,4000}["'])?)"""
)
_ASSIGNED = re.compile(
    r"""((?:passw(?:or)?d|pwd|passphrase|secret|token|(?:api|private|access)[_-]?key|credentials?|session(?:[_-]?id)?"""
    r"""|signature|jwt)[\w-]{0,20}\\{0,4}["']?\s{0,3}(?:={1,3}>?|:)\s{0,3})""" + _VALUE,
    re.IGNORECASE | re.DOTALL,
)
# Of other names, what may give them a value is looked for, and then what stands before it: they may begin anyhow.
_SIGN = re.compile(r"=(?!=)>?\s{0,3}|:\s{0,3}")
_WORD = re.compile(r"[\w-]*")
# A name in quotes may be followed by a colon; without them it may be a word of a sentence ("pass: 3" is a count), and
# these may not.
_NO_WORD = re.compile(r"[_-]keys?\Z|(?-i:[a-z0-9]Keys?\Z)", re.IGNORECASE)
_GIVEN = re.compile("()" + _VALUE, re.DOTALL)  # the first group is the name's, elsewhere
# Options of command lines, as they are typed and as lists of them are shown; their values are no options themselves.
_OPTION = re.compile(
    r"""(?<![\w-])--?([a-z][\w-]{0,60})(?:\s{1,3}|\\{0,4}["']\s{0,3},\s{0,3})(?!b?\\{0,4}["']?--?[a-z])""",
    re.IGNORECASE,
)
_ARGUMENT = re.compile(r"""b?(\\{0,4}["'])(?:(?!\1).){0,4000}(?:\1|\Z)|[^\s"']{1,4000}""", re.DOTALL)
_IS_OPTION = re.compile(r"--?([a-z][\w-]{0,60})", re.IGNORECASE)
_HEADER = re.compile(
    r"""\b((?:proxy-)?authorization|(?:set-)?cookie)(["']?\s{0,3}[=:]\s{0,3}["']?)[^\s"'][^\r\n"']{0,4000}""",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\b(bearer|basic)\s{1,3}[\w.~+/=-]{4,}", re.IGNORECASE)

_REMEMBERED = 4096  # names; then forgotten all at once, for keys of dictionaries have no end


class Secrets:
    """Decides which values are masked.

    ``more`` are further words that make a name a secret one, looked for anywhere in it, in lower case. What a text says
    of such a name is masked too, where it is given a value: ``name=``, ``"name":``, ``--name value``. ``hook`` is
    asked about each value that no name hides, with its name (empty where it has none): true hides it. A hook that
    raises hides it too.

    >>> secrets = Secrets("salary")
    >>> [name for name in ("apiKey", "DB_PASSWORD", "author", "keyword", "salary_2") if secrets.names(name)]
    ['apiKey', 'DB_PASSWORD', 'salary_2']
    >>> secrets.scrub("no answer from postgres://app:hunter2@db/orders?token=abc")
    'no answer from postgres://***@db/orders?token=***'
    """

    __slots__ = ("_hook", "_known", "_more")

    def __init__(self, *more: str, hook: Callable[[str, object], bool] | None = None) -> None:
        self._more: Pattern[str] | None = re.compile("|".join(map(re.escape, map(str.lower, more)))) if more else None
        self._hook = hook
        self._known: dict[str, bool] = {}

    @property
    def asks(self) -> bool:
        """Whether there is a hook, so that every value has to be looked at."""
        return self._hook is not None

    def names(self, name: str) -> bool:
        """Whether what is called so is a secret."""
        known = self._known.get(name)
        if known is None:
            known = self._judge(name[:200])
            if len(name) <= 200:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[name] = known
        return known

    def _judge(self, name: str) -> bool:
        lower = _HUMP.sub("_", name).lower()
        return _NAME.search(lower) is not None or (self._more is not None and self._more.search(lower) is not None)

    def hides(self, name: str, value: object) -> bool:
        """Whether a value is to be masked, by its name or because the hook says so."""
        if name and self.names(name):
            return True
        if self._hook is None:
            return False
        try:
            return bool(self._hook(name, value))
        except Exception:
            return True

    def scrub(self, text: str, *, cut: bool = False) -> str:
        """A text without the secrets that can be told by what is around them; ``cut``: it may go on after its end."""
        if "://" in text and "@" in text:
            text = _ADDRESS.sub(f"://{MASK}@", text)
        if cut and "://" in text:  # the @ may have been cut off
            text = _ADDRESS_CUT.sub(f"://{MASK}", text)
        if "@" in text:
            text = _NETLOC.sub(f"{MASK}@", text)
        if "=" in text or ":" in text:
            text = _SCHEME.sub(rf"\1 {MASK}", text)
            text = _HEADER.sub(_header, text)
            text = _ASSIGNED.sub(rf"\1{MASK}", text)
            text = _without(text, _SIGN, self._named, _GIVEN)
        if "-" in text:
            text = _without(text, _OPTION, self._optional, _ARGUMENT)
        if " " in text or "\t" in text:
            text = _SCHEME.sub(rf"\1 {MASK}", text)
        return text

    def _named(self, found: re.Match[str]) -> bool:
        """Whether what stands before a sign is the name of a secret."""
        before = found.string[max(0, found.start() - 208) : found.start()].rstrip()
        before = before[:-1] if before.endswith(('"]', "']")) else before  # what a key is given
        bare = before.rstrip("\"'")
        quoted = len(bare) < len(before)
        name = _WORD.match(bare.rstrip("\\")[::-1])[0][::-1]  # type: ignore[index]  # it may be empty, but is there
        return (quoted or found[0][0] == "=" or _NO_WORD.search(name) is not None) and self.names(name)

    def _optional(self, found: re.Match[str]) -> bool:
        """Whether an option is the name of a secret."""
        return self.names(found[1])

    def takes(self, argument: str) -> bool:
        """Whether an argument is an option of a command line that a secret is given to, by the next one."""
        option = _IS_OPTION.fullmatch(argument)
        return option is not None and self.names(option[1])


def is_option(argument: str) -> bool:
    """Whether an argument of a command line is an option, and not the value of the one before."""
    return _IS_OPTION.fullmatch(argument) is not None


def _without(text: str, sign: Pattern[str], tells: Callable[[re.Match[str]], bool], value: Pattern[str]) -> str:
    """A text without the values that follow those signs that tell of a secret."""
    parts, at = [], 0
    # A value is not a part of the sign, for there may be another one in it: "url=/x?pin=1".
    for found in sign.finditer(text):
        if found.start() < at or not tells(found):
            continue
        given = value.match(text, found.end())
        if given is not None:
            parts += [text[at : found.end()], MASK]
            at = given.end()
    return "".join([*parts, text[at:]]) if parts else text


def _header(found: re.Match[str]) -> str:
    """What follows the name of a scheme is masked already; of other schemes, and of cookies, nothing is shown."""
    whole = found[0]
    return whole if MASK in whole else f"{found[1]}{found[2]}{MASK}"


SECRETS = Secrets()


def hidden(names: Iterable[str], secrets: Secrets = SECRETS) -> tuple[str, ...]:
    """Those of some names that are masked: to look at what a set of words does."""
    return tuple(name for name in names if secrets.names(name))
