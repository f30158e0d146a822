"""The order in which locks may be taken, declared in one place. Pure values: nothing here locks anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from sys import intern
from typing import Literal, NoReturn, get_args

from coresys.errors.hierarchy import RankError

SameRank = Literal["one", "together", "ascending"]
SAME_RANK_RULES: tuple[SameRank, ...] = get_args(SameRank)


_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Rank:
    """One rank of a hierarchy. ``index`` grows inwards: a thread that holds a lock of one index may take higher ones.

    ``same`` says what holds for two locks of this rank in one thread:

    - ``one``: never both;
    - ``together``: both through one ``acquire_all``, which takes them in one fixed order, and not otherwise;
    - ``ascending``: one after the other too, if the second is the younger one (locks are numbered as they are made).
    """

    hierarchy: str
    name: str
    index: int
    same: SameRank = "together"
    # All that its hierarchy says: ranks of one name and index may belong to two hierarchies that share a name only.
    declared: str = field(default="", repr=False)

    @property
    def group(self) -> str:
        """What locks have to share to have an order between them; compared by identity."""
        return intern(self.declared or self.hierarchy)

    def __str__(self) -> str:
        return f"{self.hierarchy}.{self.name}"


class LockHierarchy:
    """Named ranks, outermost first. Immutable, and compared by what it says.

    >>> service = LockHierarchy("service", ["registry", "channel", "buffer"], same={"registry": "one"})
    >>> service["channel"].index
    1
    >>> [rank.name for rank in service]
    ['registry', 'channel', 'buffer']
    >>> service.may_follow("registry", "buffer"), service.may_follow("buffer", "registry")
    (True, False)

    Locks of different hierarchies have no order between them, also where two hierarchies have one name and differ in
    what else they say: whoever needs an order declares one hierarchy. Raises RankError for no ranks, a name twice or
    empty, or a rule that is none.
    """

    __slots__ = ("_by_name", "name", "ranks")

    _by_name: dict[str, Rank]

    name: str
    ranks: tuple[Rank, ...]

    def __init__(self, name: str, ranks: Iterable[str], *, same: Mapping[str, SameRank] | None = None) -> None:
        names, rules = tuple(ranks), dict(same or {})
        for problem in _problems(name, names, rules):
            raise RankError(hierarchy=name, problem=problem)
        ranked = [(each, rules.get(each, "together")) for each in names]
        declared = repr((name, ranked))
        made = tuple(
            Rank(hierarchy=name, name=each, index=index, same=rule, declared=declared)
            for index, (each, rule) in enumerate(ranked)
        )
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "ranks", made)
        object.__setattr__(self, "_by_name", {rank.name: rank for rank in made})

    def __getitem__(self, name: str) -> Rank:
        """The rank of that name. Raises RankError, with the names that look like it."""
        try:
            return self._by_name[name]
        except KeyError:
            near = get_close_matches(name, [rank.name for rank in self.ranks])
            known = [rank.name for rank in self.ranks]
            hint = f"; did you mean {', '.join(near)}?" if near else f"; there are {', '.join(known[:_MOST_NAMED])}"
            raise RankError(hierarchy=self.name, problem=f"no rank {name!r}{hint}") from None

    def __iter__(self) -> Iterator[Rank]:
        return iter(self.ranks)

    def __len__(self) -> int:
        return len(self.ranks)

    def __contains__(self, name: object) -> bool:
        return any(name in (rank, rank.name) for rank in self.ranks)

    def may_follow(self, held: str, wanted: str) -> bool:
        """Whether a lock of rank ``wanted`` may be taken, on its own, by a thread whose innermost lock is ``held``."""
        return self[held].index < self[wanted].index

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LockHierarchy):
            return NotImplemented
        return (self.name, self.ranks) == (other.name, other.ranks)

    def __hash__(self) -> int:
        return hash((self.name, self.ranks))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"lock hierarchy {self.name!r} is immutable: make another")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"lock hierarchy {self.name!r} is immutable: make another")

    def __reduce__(self) -> tuple[object, ...]:
        rules = {rank.name: rank.same for rank in self.ranks}
        return (_remake, (self.name, tuple(rank.name for rank in self.ranks), rules))

    def __repr__(self) -> str:
        return f"<LockHierarchy {self.name}: {' > '.join(rank.name for rank in self.ranks)}>"


def _problems(name: str, names: tuple[str, ...], rules: Mapping[str, str]) -> Iterator[str]:
    if not name:
        yield "it has no name"
    if not names:
        yield "it has no ranks"
    for each in names:
        if not each:
            yield "a rank has no name"
        if names.count(each) > 1:
            yield f"rank {each!r} is declared twice"
    for each, rule in rules.items():
        if each not in names:
            yield f"there is a rule for {each!r}, which is no rank of it"
        if rule not in SAME_RANK_RULES:
            yield f"{rule!r} is no rule for locks of one rank: {', '.join(SAME_RANK_RULES)}"


def _remake(name: str, ranks: tuple[str, ...], same: Mapping[str, SameRank]) -> LockHierarchy:
    return LockHierarchy(name, ranks, same=same)


__all__ = ["SAME_RANK_RULES", "LockHierarchy", "Rank", "SameRank"]
