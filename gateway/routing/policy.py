"""What follows from each failure, as one table: this file is the place to change it.

Classifying (what was this?) is `classify`; carrying it out is `call` and `pool`. Where a number
depends on configuration the rule names the parameters of `Stability`, not a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from gateway.config import Stability
from gateway.events import Failure, Scope


class Blame(Enum):
    """Whose fault it is; decides what may rest and what counts against the target."""

    CAPACITY = "capacity"
    """A credential's limit: moves requests, and the route only when it lasts."""
    HEALTH = "health"
    """The target is ill: counts for its breaker and moves the route."""
    SETUP = "setup"
    """The target cannot serve this model or request at all, until somebody changes something."""
    NOBODY = "nobody"
    """The client's own fault, or nobody's: touches no state."""


class Again(Enum):
    """May the same candidate be asked once more, when no other one is left?"""

    NO = "no"
    ONCE = "once"
    """Once, after a jittered pause."""
    IF_UNPROCESSED = "if_unprocessed"
    """Once, if the provider surely did nothing with the request."""
    WHEN_OVER = "when_over"
    """Once, when the end that the provider stated has come; if that is worth the request's wait."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Rest of the n-th relapse in seconds: min(cap, base × 2ⁿ⁻¹)."""

    base_seconds: float
    cap_seconds: float

    def seconds(self, level: int) -> float:
        # 2 ** 64 is past every cap; the bound keeps a runaway level from overflowing a float.
        return min(self.cap_seconds, self.base_seconds * 2.0 ** min(max(level, 1) - 1, 64))


@dataclass(frozen=True, slots=True)
class Rule:
    blame: Blame
    again: Again
    next_credential: bool
    next_target: bool
    scope: Scope | None
    """What rests by itself on one such failure; None for the breaker's and nobody's failures."""


_HEALTH_ONCE = Rule(Blame.HEALTH, Again.ONCE, True, True, None)
_HEALTH_SAFE = Rule(Blame.HEALTH, Again.IF_UNPROCESSED, True, True, None)
_SLOW = Rule(Blame.HEALTH, Again.NO, False, True, None)
_SETUP = Rule(Blame.SETUP, Again.NO, False, True, Scope.TARGET)
_CLIENT = Rule(Blame.NOBODY, Again.NO, False, False, None)

POLICY: Mapping[Failure, Rule] = MappingProxyType(
    {
        Failure.RATE_LIMITED: Rule(
            Blame.CAPACITY, Again.WHEN_OVER, True, True, Scope.CREDENTIAL_MODEL
        ),
        Failure.QUOTA_EXHAUSTED: Rule(Blame.CAPACITY, Again.NO, True, True, Scope.CREDENTIAL),
        Failure.AUTH: Rule(Blame.CAPACITY, Again.NO, True, True, Scope.CREDENTIAL),
        Failure.OVERLOADED: _HEALTH_ONCE,
        Failure.SERVER_ERROR: _HEALTH_SAFE,
        Failure.CONNECT: _HEALTH_SAFE,
        Failure.RESET_BEFORE_CONTENT: _HEALTH_SAFE,
        Failure.FIRST_CONTENT_TIMEOUT: _SLOW,
        Failure.IDLE_TIMEOUT: _SLOW,
        Failure.BAD_SUCCESS: _HEALTH_ONCE,
        Failure.STREAM_BROKEN: Rule(Blame.HEALTH, Again.NO, False, False, None),
        Failure.MODEL_NOT_FOUND: _SETUP,
        Failure.UNSUPPORTED: _SETUP,
        Failure.BAD_REQUEST: _CLIENT,
        Failure.CONTEXT_TOO_LONG: _CLIENT,
        Failure.CONTENT_POLICY: _CLIENT,
        Failure.CANCELLED: _CLIENT,
        Failure.DEADLINE: _CLIENT,
        Failure.UNKNOWN: Rule(Blame.HEALTH, Again.NO, True, True, None),
    }
)

SETUP_RECHECK_SECONDS = 3600.0
"""A missing model or capability is looked at again hourly (stability.md, section 2)."""

JITTER = 0.2
"""Guessed rests are drawn from U(1, 1 + JITTER) times their length, so that they do not align."""

RETRY_PAUSE_SECONDS = (0.5, 1.0)
"""Bounds of the jittered pause before the same candidate is asked again."""


def ladder(failure: Failure, stability: Stability) -> Ladder:
    """The ladder of guessed rests for what `failure` makes rest."""
    match failure:
        case Failure.RATE_LIMITED:
            return Ladder(stability.rate_limited_base_seconds, stability.rate_limited_cap_seconds)
        case Failure.QUOTA_EXHAUSTED:
            return Ladder(
                stability.quota_exhausted_base_seconds, stability.quota_exhausted_cap_seconds
            )
        case Failure.AUTH:
            return Ladder(stability.auth_base_seconds, stability.auth_cap_seconds)
        case Failure.MODEL_NOT_FOUND | Failure.UNSUPPORTED:
            return Ladder(SETUP_RECHECK_SECONDS, SETUP_RECHECK_SECONDS)
        case _:
            return Ladder(stability.breaker_base_seconds, stability.breaker_cap_seconds)


def stated_rest(seconds: float, stability: Stability, draw: float) -> float:
    """A provider's own time, clamped, with jitter only added: never earlier than stated.

    `draw` is uniform in [0, 1).
    """
    hint = min(max(seconds, stability.stated_min_seconds), stability.stated_max_seconds)
    return hint + draw * min(2.0, 0.1 * hint)
