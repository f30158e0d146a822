"""Values and secrets: nothing of a program is run, nothing is long, nothing secret is shown."""

from __future__ import annotations

import datetime
import decimal
import enum
import pathlib
import threading
import time
import timeit
import uuid
from collections import Counter, OrderedDict, deque, namedtuple
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coresys.errors.capture import Capture
from coresys.errors.secrets import MASK, Secrets, hidden
from coresys.errors.values import Values

SHOW = Values().show

HIDDEN = [
    *("password", "passwd", "PASSWORD", "db_password", "userPassword", "pw", "pwd", "pass", "passphrase"),
    *("secret", "client_secret", "SECRET_KEY", "secretKey", "token", "access_token", "refreshToken", "tokens"),
    *("key", "api_key", "apikey", "apiKey", "X-API-Key", "aws_access_key_id", "private_key", "keys", "key2"),
    *("auth", "oauth", "basic_auth", "Authorization", "authentication", "credential", "credentials", "creds"),
    *("cookie", "Set-Cookie", "cookies", "session", "session_id", "sid", "csrf", "jwt", "pin", "otp", "cvv2"),
    *("ssn", "salt", "signature", "DSN", "HTTPPassword"),
]
SHOWN = [
    *("name", "author", "authors", "keyword", "keywords", "keyboard", "passage", "bypass", "compass_x", "pinned"),
    *("shopping", "order_id", "signal", "salted_caramel", "inside", "assign", "mapping", "design", "x", ""),
]


@pytest.mark.parametrize("name", HIDDEN)
def test_these_names_are_masked(name: str) -> None:
    assert Secrets().names(name)
    assert SHOW(name, "hunter2") == MASK


@pytest.mark.parametrize("name", SHOWN)
def test_these_names_are_not_masked(name: str) -> None:
    assert not Secrets().names(name)


def test_words_can_be_added() -> None:
    assert hidden(["salary", "MySalary", "name"], Secrets("salary")) == ("salary", "MySalary")


def test_a_hook_that_raises_hides() -> None:
    def hook(name: str, value: object) -> bool:
        raise ZeroDivisionError

    assert Values(secrets=Secrets(hook=hook)).show("name", "x") == MASK


def test_a_hook_sees_what_is_inside_of_containers() -> None:
    values = Values(secrets=Secrets(hook=lambda name, value: value == 4111))
    assert values.show("cards", [1, 4111]) == f"[1, {MASK}]"
    assert values.show("cards", {"a": 4111, "b": 2}) == f"{{'a': {MASK}, 'b': 2}}"
    assert values.show("cards", 4111) == MASK


Point = namedtuple("Point", "x y")


class Colour(str, enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, "None"), (True, "True"), (7, "7"), (-7, "-7"), (1.5, "1.5"), (2j, "2j"), (..., "Ellipsis")),
        ("text", "'text'"),
        ("two\nlines", "'two\\nlines'"),
        ("x" * 100, repr("x" * 100)[:100] + "..."),
        (b"\x00ab", "b'\\x00ab'"),
        (bytearray(b"ab"), "b'ab'"),
        (2**127, str(2**127)),
        (2**128, "<int of 129 bits>"),
        (10**100_000, "<int of 332193 bits>"),
        *(([], "[]"), ((), "()"), ((1,), "(1,)"), (set(), "set()"), (frozenset({1}), "{1}"), ({}, "{}")),
        (list(range(5)), "[0, 1, 2, 3, 4]"),
        (list(range(6)), "[0, 1, 2, 3, 4, ...1 more]"),
        ([[[[1]]]], "[[[[...1]]]]"),
        ({"a": {"b": {"c": {"d": 1}}}}, "{'a': {'b': {'c': {...1}}}}"),
        ({"a": 1, "token": 2}, f"{{'a': 1, 'token': {MASK}}}"),
        ({b"cookie": 1}, f"{{b'cookie': {MASK}}}"),
        ({"outer": {"secret": 1}}, f"{{'outer': {{'secret': {MASK}}}}}"),
        ([("Authorization", "x"), ("Accept", "y")], f"[('Authorization', {MASK}), ('Accept', 'y')]"),
        ({Colour.RED: 1}, "{Colour('red'): 1}"),
        (Point(1, 2), "Point(x=1, y=2)"),
        (OrderedDict(a=1), "OrderedDict({'a': 1})"),
        (Counter(password=1), f"Counter({{'password': {MASK}}})"),
        (datetime.date(2020, 1, 2), "datetime.date(2020, 1, 2)"),
        (decimal.Decimal("1.50"), "Decimal('1.50')"),
        (uuid.UUID(int=1), "UUID('00000000-0000-0000-0000-000000000001')"),
        (pathlib.PurePosixPath("/a"), "PurePosixPath('/a')"),
        (decimal.Decimal("1" * 5000), "<Decimal>"),
        (ValueError("secret inside"), "<ValueError>"),
        (ValueError, "<class ValueError>"),
        (deque([1]), "<deque>"),
        (object(), "<object>"),
        ("https://me:hunter2@host/", f"'https://{MASK}@host/'"),
        ("api_key=abc&x=1", f"'api_key={MASK}&x=1'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_shown_so(value: object, text: str) -> None:
    if isinstance(value, str) and value == "x" * 100:
        text = repr(value)[:100] + "..."
    assert SHOW("value", value) == text


def test_a_list_that_holds_itself_ends() -> None:
    endless: list[Any] = [1]
    endless.append(endless)
    assert SHOW("endless", endless) == "[1, [1, [1, [...2]]]]"


ran: list[str] = []


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        ran.append(f"metaclass {name}")
        return super().__getattribute__(name)

    def __instancecheck__(cls, instance: object) -> bool:
        ran.append("instancecheck")
        return True


def telling(name: str) -> Any:
    def method(self: object, *args: object) -> Any:
        ran.append(name)
        raise RuntimeError(name)

    return method


NAMES = [
    *("__repr__", "__str__", "__format__", "__len__", "__iter__", "__getattr__", "__eq__", "__bool__"),
    *("__getitem__", "__contains__", "__int__", "__index__", "__float__", "__sizeof__", "keys", "items", "bit_length"),
]


def hostile(base: type, *args: Any) -> object:
    """An instance of a class all of whose methods tell that they were called, and raise."""
    inside = {name: telling(name) for name in NAMES}
    inside["__getattribute__"] = telling("__getattribute__")
    inside["__class__"] = property(telling("__class__"))
    inside["__hash__"] = base.__hash__
    return Meta("Hostile", (base,), inside)(*args)


@pytest.mark.parametrize(
    ("base", "args"),
    [
        *((object, ()), (str, ("text",)), (int, (5,)), (float, (2.0,)), (bytes, (b"x",)), (list, ([1],))),
        *((tuple, ((1, 2),)), (dict, ({"a": 1},)), (set, ({1},)), (Exception, ("x",))),
        *((decimal.Decimal, (1,)), (datetime.date, (2020, 1, 1))),
    ],
)
def test_no_code_of_the_program_is_run(base: type, args: tuple[object, ...]) -> None:
    value = hostile(base, *args)
    ran.clear()
    texts = [
        SHOW("value", shown)
        for shown in (value, [value], {"a": value}, {1: {2: value}}, (value, 1), ("password", value))
    ]
    assert ran == []
    assert max(map(len, texts)) < 120
    assert "Hostile" in texts[0]


def test_a_class_that_takes_a_harmless_name_is_not_believed() -> None:
    class UUID:
        def __repr__(self) -> str:
            raise AssertionError("was run")

    UUID.__module__ = "uuid"
    UUID.__qualname__ = "UUID"
    assert SHOW("value", UUID()) == "<UUID>"


def test_types_can_be_vouched_for() -> None:
    class Order:
        number = 7

    values = Values(describe={Order: lambda order: f"order {order.number}"})
    assert values.show("order", Order()) == "order 7"
    assert values.show("orders", [Order()]) == "[order 7]"
    broken = Values(describe={Order: lambda order: str(1 / 0)})
    assert broken.show("order", Order()) == "<unreadable>"


def test_containers_that_change_meanwhile_are_survived() -> None:
    shared: dict[int, int] = {}
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            shared[number % 7] = number
            shared.pop((number * 3) % 7, None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        texts = {SHOW("shared", shared)[:1] for _ in range(500)}
    finally:
        stop.set()
        thread.join()
    assert texts <= {"{", "<"}


NAMES_OF_SECRETS = [
    *("encryption_key", "signing_key", "signingKey", "ENCRYPTION_KEY", "api_keys", "key", "monkey", "creds", "oauth"),
    *("salt", "iban", "dsn", "x_pin_2", "db-password", "authentication", "cookie_jar"),
]


@pytest.mark.parametrize("name", NAMES_OF_SECRETS)
@pytest.mark.parametrize(
    "form",
    [
        *("{}=abc", "{} = abc", "a=1&{}=abc&b=2", "it was {}='abc', x", "config.{}=abc", "--{}=abc", "--{} abc"),
        *("{{'{}': 'abc'}}", "{{b'{}': b'abc'}}", '{{"a": {{"{}" : "abc"}}}}', '{{\\"{}\\": \\"abc\\"}}'),
        *("['prog', '--{}', 'abc']", '["prog","-{}","abc"]', "run --v --{}  'abc' x", "[b'--{}', b'abc']"),
    ],
)
def test_a_name_that_masks_a_variable_masks_what_a_text_gives_it(name: str, form: str) -> None:
    assert Secrets().names(name)
    text = form.format(name)
    scrubbed = Secrets().scrub(text)
    assert "abc" not in scrubbed
    assert scrubbed.startswith(text[: text.index(name)])  # no more than that goes
    assert "abc" not in SHOW("value", text)


@pytest.mark.parametrize(
    "text",
    [
        *("keyword=abc", "author=abc", "{'keyboard': 'abc'}", "opinion = abc", "search_keywords: abc", "a == abc"),
        *("key: abc", "the primary key (id)=(abc)", "['prog', '--verbose', 'abc']", "--keep abc", "pre-auth abc"),
        *("- key abc", "signing_keyed: abc", "step abc -- token", "password", "--password", "['--token', '--abc']"),
    ],
)
def test_other_texts_are_left_as_they_are(text: str) -> None:
    assert Secrets().scrub(text) == text


def test_keys_are_told_in_a_text_of_lines_too() -> None:
    text = "signing_key: abc\nencryptionKey: abc\nname: x"
    assert Secrets().scrub(text) == f"signing_key: {MASK}\nencryptionKey: {MASK}\nname: x"


def test_further_words_hold_in_texts_as_well() -> None:
    assert Secrets("salary").scrub("salary=5, {'min_salary': 5}, --salary 5") == (
        f"salary={MASK}, {{'min_salary': {MASK}}}, --salary {MASK}"
    )


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["prog", "--password", "hunter2", "-v"], f"['prog', '--password', {MASK}, '-v']"),
        (("prog", "-token", b"x", "y"), f"('prog', '-token', {MASK}, 'y')"),
        ([b"prog", b"--api-key", b"x"], f"[b'prog', b'--api-key', {MASK}]"),
        (["prog", "--pin", 1234, 5], f"['prog', '--pin', {MASK}, 5]"),
        (["prog", "--password=hunter2", "next"], f"['prog', '--password={MASK}', 'next']"),
        (["prog", "--auth", "--verbose", "x"], "['prog', '--auth', '--verbose', 'x']"),
        (["prog", "--token"], "['prog', '--token']"),
        (["-", "--", "- password", "--a password", "x"], "['-', '--', '- password', '--a password', 'x']"),
        (["prog", ["--password", "hunter2", "x"]], f"['prog', ['--password', {MASK}, 'x']]"),
    ],
)
def test_what_an_option_of_a_command_line_is_given_is_masked(arguments: object, shown: str) -> None:
    assert SHOW("args", arguments) == shown


def test_a_command_that_failed_does_not_tell_its_password() -> None:
    import subprocess

    error = subprocess.CalledProcessError(1, ["prog", "--password", "hunter2"])
    assert "hunter2" not in str(Capture()(error).message)
    assert "'prog', '--password', ***" in Capture()(error).message


@pytest.mark.parametrize(
    "text",
    [
        *("--password " * 20_000, "a_key=" * 20_000, "x_" * 50_000, "'--key', '" * 20_000, "my-key" * 20_000),
        "a" * 100_000,
        "=" * 100_000,
        "password=" * 20_000,
        "://a:" * 20_000,
        "bearer " * 20_000,
        "-a" * 50_000,
        "(" * 9999,
    ],
)
def test_scrubbing_takes_at_worst_the_square_of_the_text(text: str) -> None:
    """Four times the text: sixteen times as long where each place begins a look at all the rest; more is no bound."""

    def cost(length: int) -> float:
        secrets, part = Secrets(), text[:length]
        return min(timeit.repeat(lambda: secrets.scrub(part, cut=True), number=2, repeat=7, timer=time.process_time))

    assert cost(2000) < 40 * cost(500)
    assert len(SHOW("text", text)) < 1000


ANYTHING = st.recursive(
    st.none() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(ANYTHING)
def test_whatever_it_is_it_is_shown_within_bounds(value: object) -> None:
    values = Values(characters=40)
    assert len(values.show("value", value)) <= 43 + len("<unreadable>")
    assert values.show("value", value) != "<unreadable>"


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.text(alphabet="abcdef0123456789", min_size=9),
    st.sampled_from(["password", "token", "api_key"]),
    st.text(max_size=60),
)
def test_a_secret_in_an_assignment_is_never_shown(secret: str, name: str, before: str) -> None:
    assert secret not in SHOW("text", f"{before} {name}={secret}").replace(before, "")


@pytest.mark.parametrize("wrong", [{"count": 0}, {"items": 0}, {"depth": 0}, {"characters": 0}, {"total": 0}])
def test_bounds_of_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Values(**wrong)  # type: ignore[arg-type]  # one of the numbers
