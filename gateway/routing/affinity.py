"""Where a session lives: its home, one sticky detour while home rests, and when it may move.

A prompt cache belongs to an account, so that every move of a session costs a prefill. A binding is
soft: it orders candidates and never keeps a request from being served. Idle ones are forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from gateway.config import Stability
from gateway.units import Instant

if TYPE_CHECKING:  # `state` holds the sessions of each route.
    from gateway.routing.state import Candidate, CredentialState, HopState

SESSIONS_MAX = 10_000
"""Of one route. The one idle longest goes first; it only loses its warm cache."""
COMPACTED = 0.5
"""A request this much smaller than the one before it has had its history compacted: the cache of
the old prefix is worth nothing, and moving is free."""
PREFILL_TOKENS_PER_SECOND = 5000.0
"""How fast a provider reads an uncached prompt, roughly: what a move costs in time."""


class Seat(Struct, gc=False):
    """A target with one of its credentials."""

    hop: HopState
    credential: CredentialState

    def holds(self, candidate: Candidate) -> bool:
        return self.hop is candidate.hop and self.credential is candidate.credential


class Binding(Struct, gc=False):
    """One session's seats."""

    home: Seat
    detour: Seat | None
    last: Instant
    since: Instant
    """When the present seat was taken."""
    age_asked: float
    """Seconds a detour must be old before the session goes home; doubles with each bounce."""
    body_tokens: int = 0
    cached_tokens: int = 0
    """Read from the cache by the last answer: what a move would throw away."""

    @property
    def seat(self) -> Seat:
        return self.detour or self.home


class Sessions:
    """The bindings of one route."""

    __slots__ = ("_bindings", "moved_at")

    def __init__(self) -> None:
        self._bindings: OrderedDict[str, Binding] = OrderedDict()
        self.moved_at: Instant | None = None
        """When the last session went home of its own accord."""

    def find(
        self,
        key: str,
        body_tokens: int,
        stability: Stability,
        now: Instant,
        *,
        look_only: bool = False,
    ) -> Binding | None:
        """The live binding; None for a session that is new, idle, compacted, or has no key."""
        binding = self._bindings.get(key) if key else None
        if binding is None:
            return None
        if now - binding.last > stability.session_idle_seconds:
            if not look_only:
                del self._bindings[key]
            return None
        if body_tokens < COMPACTED * binding.body_tokens:
            return None
        return binding

    def peek(self, key: str) -> Binding | None:
        """Whatever is remembered of it, live or not."""
        return self._bindings.get(key)

    def bind(self, key: str, candidate: Candidate, stability: Stability, now: Instant) -> Binding:
        """A new home."""
        while len(self._bindings) >= SESSIONS_MAX:
            self._bindings.popitem(last=False)
        seat = Seat(candidate.hop, candidate.credential)
        binding = Binding(
            home=seat, detour=None, last=now, since=now, age_asked=stability.session_pin_seconds
        )
        self._bindings[key] = binding
        self._bindings.move_to_end(key)
        return binding

    def rename(self, old: str, new: str) -> None:
        """The session is known by another key from now on; nothing where it is gone meanwhile."""
        binding = self._bindings.pop(old, None)
        if binding is not None:
            self._bindings[new] = binding

    def touch(self, key: str, binding: Binding, *, body_tokens: int, now: Instant) -> None:
        binding.last = now
        binding.body_tokens = body_tokens
        self._bindings.move_to_end(key)

    def __len__(self) -> int:
        return len(self._bindings)

    def __iter__(self) -> Iterator[Binding]:
        return iter(self._bindings.values())

    def keep(self, hops: Collection[HopState]) -> None:
        """Drop every binding with a seat on another target, or with a credential that is gone."""

        def stands(seat: Seat | None) -> bool:
            if seat is None:
                return True
            return seat.hop in hops and seat.credential in seat.hop.target.provider.credentials

        gone = [
            key
            for key, binding in self._bindings.items()
            if not (stands(binding.home) and stands(binding.detour))
        ]
        for key in gone:
            del self._bindings[key]


def patience(binding: Binding | None, stability: Stability, left: float) -> float:
    """Seconds worth waiting for a seat instead of moving: w of docs/stability.md.

    What a move would cost is the prefill of the cached prefix; nobody waits beyond half of what is
    left of the deadline.
    """
    seconds = stability.wait_base_seconds
    if binding is not None:
        seconds += binding.cached_tokens / PREFILL_TOKENS_PER_SECOND
    return max(0.0, min(stability.wait_max_seconds, seconds, left / 2))
