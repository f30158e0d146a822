"""What whoever asked for a buffer has in hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar
from weakref import ref

from coresys.errors.hierarchy import LeaseInUseError, LeaseReleasedError
from coresys.resources.tiers import Account
from coresys.system_records import LeaseRecord
from coresys.threads.sites import site

if TYPE_CHECKING:
    from coresys.resources.lending import Lending
    from coresys.resources.shared import LeaseToken


# A lease as its pools keep it: a plain tuple, for a named one takes four times as long to make, on everybody's path.
# ``Lent._make`` gives its parts their names, wherever somebody looks.
Raw: TypeAlias = "tuple[Account, int, int, int, CodeType | None, int, memoryview]"


class Dropped(ref[Any]):
    """What the pools have of a lease: it is put among the orphans when that dies, unless it was thrown away before."""

    __slots__ = ("lent", "number")

    lent: Raw
    number: int


class LetGo:
    """In the place of a ``Dropped`` whose lease may die: it was given back, or away, and the slot is not free yet."""

    __slots__ = ("lent",)

    def __init__(self, lent: Raw) -> None:
        self.lent = lent


class Lent(NamedTuple):
    """What is in a ``Raw``."""

    account: Account
    tier: int
    slot: int
    size: int
    code: CodeType | None
    offset: int
    view: memoryview  # the one that the user has: releasing it takes the memory from whoever kept it

    def in_use(self, number: int) -> LeaseInUseError:
        """What whoever takes it back gets while something stands on its memory."""
        return LeaseInUseError(number=number, owner=self.account.own, where=site(self.code, self.offset))

    def released(self, number: int) -> LeaseReleasedError:
        """What whoever uses it gets after it was taken back."""
        return LeaseReleasedError(number=number, owner=self.account.own, where=site(self.code, self.offset))


class Lease:
    """A buffer that is lent; what is used after it was given back raises.

    ``with lease as view:`` gives it back at the end. While a call uses the view itself (``recv_into`` in another
    thread), or a PickleBuffer, it can't be given back. What was made of it before, a slice or an array of NumPy's or
    ctypes', goes on to stand on the memory unseen: ``debug=True`` of the pools finds writes through such.
    """

    __slots__ = ("__weakref__", "_lent", "_pools", "number")

    _lent: Raw
    _pools: Lending
    number: int  # 0: nothing was lent yet, or it was given back

    @property
    def view(self) -> memoryview:
        """The bytes, as many as were asked for. Raises LeaseReleasedError."""
        if not self._pools.is_lent(self.number):
            raise self.lent.released(self.number)
        return self._lent[-1]

    @property
    def lent(self) -> Lent:
        """What its pools know of it."""
        return Lent._make(self._lent)

    @property
    def record(self) -> LeaseRecord:
        """To whom it was lent, and where."""
        lent = self.lent
        return self._pools.record_of(self.number, lent, lent.account.own)

    def release(self) -> None:
        """Give it back. Raises LeaseReleasedError where that was done before, LeaseInUseError while it can't be."""
        self._pools.take_back(self)

    def hand_over(self) -> LeaseToken:
        """Give it to another process: whoever opens the token has it from then on, and this lease is none any more.

        It stays charged to its owner until it comes back. Raises SharedTierError where its tier is not shared,
        LeaseReleasedError, LeaseInUseError.
        """
        return self._pools.hand_over(self)

    def __enter__(self) -> memoryview:
        return self.view

    def __exit__(self, *exc: object) -> None:
        self._pools.take_back(self)

    def __len__(self) -> int:
        return self.lent.size

    def __buffer__(self, flags: int) -> memoryview:  # of Python 3.12 and later
        # Itself, not another view of the same bytes: whoever stands on that keeps the lease from being given back.
        return self.view

    def __repr__(self) -> str:
        if not self._pools.is_lent(self.number):
            return "<Lease: released>"
        lent = self.lent
        return f"<Lease {self.number} of {lent.account.name!r}: {lent.size} bytes>"


R = TypeVar("R")


def keep_lost(record: R, kept: deque[R], tell: Callable[[R], object] | None) -> None:
    """Something was found that nobody holds any more, and that was never given back."""
    kept.append(record)
    if tell is not None:
        try:
            tell(record)
        except Exception:  # of a stranger's, in the middle of somebody else's request
            pass


__all__ = ["Dropped", "Lease", "Lent", "LetGo", "Raw", "keep_lost"]
