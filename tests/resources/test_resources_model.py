"""Limits, reserves, grants and channels against a model that counts all anew, and pools of connections against one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from coresys.errors.hierarchy import (
    ConnectionLimitError,
    ConnectionsExhaustedError,
    DuplicateChannelError,
    LeaseLimitError,
    PoolExhaustedError,
)
from coresys.resources.connections import Checkout, ConnectionPool
from coresys.resources.lease import Lease
from coresys.resources.manager import ResourceManager
from coresys.resources.pools import BufferPools
from coresys.resources.tiers import Tier
from coresys.resources.view import ResourceView
from coresys.testing.fakes import FakeClock

SIZES = {"small": 10, "large": 100}
TIERS = Tier("small", 10, 5), Tier("large", 100, 3)
OWNERS = ("x", "t/a", "t/b", "t/i/a")
CHANNELS = ("t", "t/i")

OWNER, CHANNEL, TIER = st.sampled_from(OWNERS), st.sampled_from(CHANNELS), st.sampled_from(sorted(SIZES))
LIMIT = st.one_of(st.none(), st.sampled_from([0, 10, 30, 110, 200, 330]))
RESERVE = st.fixed_dictionaries({"small": st.integers(0, 3), "large": st.integers(0, 2)})


class Buffers(RuleBasedStateMachine):
    """The model knows what was said and what is lent; all else follows by recursion over names, each time anew."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ResourceManager(BufferPools(TIERS, exhausted="error"))
        self.views: dict[str, ResourceView] = {}
        self.limits: dict[str, int | None] = {}
        self.reserves: dict[str, dict[str, int]] = {}
        self.grants: dict[str, dict[str, int]] = {}
        self.lent: list[tuple[str, str, Lease]] = []
        self.met = dict.fromkeys(SIZES, True)  # all reserves can be met, of each tier
        self.late = False  # one was lent at the last look, though nobody had come or gone since the first
        pools = self.resources.pools
        look = pools._last_look

        def looking(*given: Any) -> Exception | None:
            error = look(*given)
            self.late = error is None
            return error

        pools._last_look = looking  # type: ignore[method-assign, assignment]

    # -- the model's own view of things ------------------------------------------------------------------------------

    def channel(self, name: str) -> str | None:
        """The innermost open channel that a name is in."""
        inside = [each for each in self.views if name.startswith(f"{each}/")]
        return max(inside, key=len, default=None)

    def path(self, name: str) -> list[str]:
        at = self.channel(name)
        return [] if at is None else [at, *self.path(at)]

    def inside(self, channel: str | None) -> list[str]:
        names = {*OWNERS, *self.views}
        return [name for name in names if self.channel(name) == channel]

    def count(self, name: str, tier: str) -> int:
        return sum(
            owner == name or owner.startswith(f"{name}/") if name in self.views else owner == name
            for owner, of, _ in self.lent
            if of == tier
        )

    def held(self, name: str) -> int:
        return sum(self.count(name, tier) * size for tier, size in SIZES.items())

    def need(self, name: str | None, tier: str) -> int:
        """How many free slots have to be kept for it; None: for all."""
        inner = sum(self.need(each, tier) for each in self.inside(name)) if name is None or name in self.views else 0
        if name is None:
            return inner
        return max(self.reserves.get(name, {}).get(tier, 0) - self.count(name, tier), inner)

    def bytes_of(self, reserve: dict[str, int]) -> int:
        return sum(SIZES[tier] * count for tier, count in reserve.items())

    def unmet(self, name: str) -> int:
        inner = sum(self.unmet(each) for each in self.inside(name)) if name in self.views else 0
        return max(self.bytes_of(self.reserves.get(name, {})) - self.held(name), inner, 0)

    def free(self, tier: str) -> int:
        return next(each.slots for each in TIERS if each.name == tier) - sum(of == tier for _, of, _ in self.lent)

    def look(self) -> None:
        self.met = {tier: self.free(tier) >= self.need(None, tier) for tier in SIZES}

    def is_over(self, owner: str) -> bool:
        """Whether it, or a channel that it is in, holds more than its limit, with what is owed to others."""
        granted = self.grants.get(owner, {})
        beside = sum(min(self.count(owner, tier), granted.get(tier, 0)) * size for tier, size in SIZES.items())
        limit = self.limits.get(owner)
        if limit is not None and self.held(owner) - beside > limit:
            return True
        owed, before = 0, owner
        for channel in self.path(owner):
            owed += sum(self.unmet(each) for each in self.inside(channel) if each != before)
            most = self.limits.get(channel)
            if most is not None and self.held(channel) + owed > most:
                return True
            before = channel
        return False

    def refused(self, owner: str, tier: str, error: LeaseLimitError | PoolExhaustedError) -> None:
        """It has to be so: what would be, had it got one?"""
        given = f"{owner} asks for a {tier} one, and is refused: {error}"
        had = self.count(owner, tier)
        self.lent.append((owner, tier, Lease()))
        is_over, missing = self.is_over(owner), self.free(tier) < self.need(None, tier)
        self.lent.pop()
        if isinstance(error, LeaseLimitError):
            assert is_over, given
            assert had >= self.grants.get(owner, {}).get(tier, 0) or error.channel, given
        elif self.met[tier]:
            assert self.free(tier) == 0 or missing, given

    # -- what may happen ---------------------------------------------------------------------------------------------

    @rule(owner=OWNER, tier=TIER)
    def lease(self, owner: str, tier: str) -> None:
        given = f"{owner} asks for a {tier} one"
        channel = self.channel(owner)
        try:
            if channel is None:
                lease = self.resources.lease(SIZES[tier], owner=owner)
            else:
                lease = self.views[channel].lease(SIZES[tier], owner=owner.removeprefix(f"{channel}/"))
        except (LeaseLimitError, PoolExhaustedError) as error:
            self.refused(owner, tier, error)
            return
        assert not self.late, given
        self.lent.append((owner, tier, lease))
        by_grant = self.count(owner, tier) <= self.grants.get(owner, {}).get(tier, 0)
        limit = self.limits.get(owner)
        if by_grant:
            self.limits[owner] = None
        assert not self.is_over(owner), f"{given}, and gets it"
        if by_grant:
            self.limits[owner] = limit
        if self.met[tier]:
            assert self.free(tier) >= self.need(None, tier), f"{given}, and takes what is kept for another"

    @precondition(lambda self: self.lent)
    @rule(at=st.integers(0, 100))
    def release(self, at: int) -> None:
        _, _, lease = self.lent.pop(at % len(self.lent))
        lease.release()

    @rule(owner=OWNER, limit=LIMIT, reserve=RESERVE)
    def limit(self, owner: str, limit: int | None, reserve: dict[str, int]) -> None:
        channel = self.channel(owner)
        try:
            if channel is None:
                self.resources.limit(owner, lease=limit, reserve=reserve)
            else:
                self.views[channel].limit(owner.removeprefix(f"{channel}/"), lease=limit, reserve=reserve)
        except LeaseLimitError:
            return
        self.limits[owner], self.reserves[owner] = limit, reserve
        self.look()

    @rule(owner=OWNER, tier=TIER, count=st.integers(0, 2))
    def grant(self, owner: str, tier: str, count: int) -> None:
        self.resources.grant(owner, SIZES[tier], count)
        self.grants.setdefault(owner, {})[tier] = count

    @rule(channel=CHANNEL, limit=LIMIT, reserve=RESERVE)
    def open(self, channel: str, limit: int | None, reserve: dict[str, int]) -> None:
        outer = self.channel(channel)
        try:
            if outer is None:
                view = self.resources.view(channel, lease=limit, reserve=reserve)
            else:
                view = self.views[outer].view(channel.removeprefix(f"{outer}/"), lease=limit, reserve=reserve)
        except DuplicateChannelError:
            assert channel in self.views
            return
        except LeaseLimitError:
            return
        self.views[channel] = view
        self.limits[channel], self.reserves[channel] = limit, reserve
        self.look()

    @rule(channel=CHANNEL)
    def close(self, channel: str) -> None:
        if channel not in self.views:
            return
        inside = [each for each in self.lent if each[0].startswith(f"{channel}/")]
        left = self.views[channel].close()
        assert sorted(record.owner for record in left.leases) == sorted(
            owner.removeprefix(f"{channel}/") for owner, _, _ in inside
        )
        self.lent = [each for each in self.lent if each not in inside]
        for name in (*OWNERS, *CHANNELS):
            if name == channel or name.startswith(f"{channel}/"):
                for said in (self.limits, self.reserves, self.grants, self.views):
                    said.pop(name, None)
        self.look()

    @rule(owner=OWNER)
    def release_owner(self, owner: str) -> None:
        mine = [each for each in self.lent if each[0] == owner]
        assert self.resources.release_owner(owner) == len(mine)
        self.lent = [each for each in self.lent if each[0] != owner]

    @invariant()
    def all_that_is_held_is_what_is_lent(self) -> None:
        for owner in OWNERS:
            assert self.resources.usage(owner).leased == self.held(owner), owner
        for channel, view in self.views.items():
            usage = view.usage_of_all()
            assert (usage.leased, usage.leases) == (
                self.held(channel),
                sum(self.count(channel, tier) for tier in SIZES),
            ), channel
        assert [each.busy for each in self.resources.statistics()] == [
            sum(of == tier.name for _, of, _ in self.lent) for tier in TIERS
        ]
        kept = [self.need(None, tier.name) for tier in TIERS]
        assert [each.kept for each in self.resources.pools._figures] == kept

    def teardown(self) -> None:
        self.resources.pools.close() if not self.lent else None


class Connections(RuleBasedStateMachine):
    """The model knows which connections are alive, and who has which."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.open: set[int] = set()
        self.alive: dict[int, bool] = {}
        self.made: dict[int, float] = {}
        self.fails = False
        self.out: list[tuple[str, int, Checkout[int]]] = []
        self.pool: ConnectionPool[int] = ConnectionPool(
            "db",
            self.connect,
            close=self.open.remove,
            healthy=lambda number: self.alive[number],
            most=3,
            most_idle=2,
            per_owner=2,
            timeout=0.0,
            lifetime=50.0,
            most_idle_time=20.0,
            now=self.clock.now,
        )

    def connect(self) -> int:
        if self.fails:
            raise ConnectionRefusedError
        number = len(self.alive)
        self.alive[number], self.made[number] = True, self.clock.now()
        self.open.add(number)
        return number

    @rule(owner=st.sampled_from("abc"))
    def acquire(self, owner: str) -> None:
        held = sum(each == owner for each, _, _ in self.out)
        try:
            checkout = self.pool.acquire(owner=owner)
        except ConnectionLimitError:
            assert held == 2
        except ConnectionsExhaustedError:
            assert len(self.out) == 3
        except ConnectionRefusedError:
            assert self.fails
        else:
            number = checkout.connection
            assert held < 2
            assert self.alive[number]
            assert number in self.open
            assert self.clock.now() - self.made[number] < 50
            assert number not in [each for _, each, _ in self.out]
            self.out.append((owner, number, checkout))

    @precondition(lambda self: self.out)
    @rule(at=st.integers(0, 9), discard=st.booleans())
    def give_back(self, at: int, discard: bool) -> None:
        _, number, checkout = self.out.pop(at % len(self.out))
        checkout.discard() if discard else checkout.release()
        assert not discard or number not in self.open

    @precondition(lambda self: self.out)
    @rule()
    def lose(self) -> None:
        number = self.out.pop()[1]
        leaked = self.pool.statistics().leaked
        assert len(self.pool.leaked()) == leaked > 0
        assert number not in self.open

    @precondition(lambda self: self.alive)
    @rule(at=st.integers(0, 99))
    def breaks(self, at: int) -> None:
        self.alive[at % len(self.alive)] = False

    @rule(seconds=st.sampled_from([1.0, 19.0, 20.0, 50.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(fails=st.booleans())
    def server(self, fails: bool) -> None:
        self.fails = fails

    @rule()
    def check(self) -> None:
        self.pool.check()
        idle = self.open - {number for _, number, _ in self.out}
        assert all(self.alive[number] and self.clock.now() - self.made[number] < 50 for number in idle)

    @rule(owner=st.sampled_from("abc"))
    def release_owner(self, owner: str) -> None:
        mine = [each for each in self.out if each[0] == owner]
        assert self.pool.release_owner(owner) == len(mine)
        self.out = [each for each in self.out if each not in mine]

    @invariant()
    def what_is_open_is_out_or_idle(self) -> None:
        figures = self.pool.statistics()
        assert figures.open == len(self.open) <= 3
        assert figures.busy == len(self.out)
        assert figures.idle == len(self.open) - len(self.out) <= 2


Buffers.TestCase.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
Connections.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestBuffers = pytest.mark.slow(Buffers.TestCase)
TestConnections = pytest.mark.slow(Connections.TestCase)
