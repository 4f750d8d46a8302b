"""What a client is told when no candidate could take its request: status, sentence, when to retry.

The status comes from the binding cause (what would have to end first for the request to succeed),
the sentence from the first real failure, the list from every candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

from gateway.events import Failure, SkipReason

RETRY_AFTER_MAX_SECONDS = 30.0
"""A longer wait is not put into `Retry-After`: a well-known SDK sleeps for any value."""

LIMITS = frozenset({Failure.RATE_LIMITED.value, Failure.QUOTA_EXHAUSTED.value})
NO_MODEL = frozenset({Failure.MODEL_NOT_FOUND.value, Failure.UNSUPPORTED.value})
UNTRANSLATABLE = "untranslatable"
"""Cause of a target that is passed over because the request means nothing in its dialect."""
NO_DIALECT = frozenset({SkipReason.DIALECT.value, UNTRANSLATABLE})
TOO_LONG = frozenset({SkipReason.CONTEXT_SIZE.value, Failure.CONTEXT_TOO_LONG.value})
FOR_GOOD = (
    NO_MODEL
    | NO_DIALECT
    | TOO_LONG
    | {Failure.AUTH.value, SkipReason.BILLING_CLASS.value, SkipReason.DISABLED.value}
)
"""Reasons that trying again does not cure."""
FULL = SkipReason.AT_CAPACITY.value
"""Our own cap is reached: a place may be free at any moment, and nobody knows when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One candidate's part in the answer."""

    target: str
    credential: str
    reason: str
    ready_in_seconds: float | None
    """0 = now; None = nobody knows, or not without a change."""
    message: str = ""
    """The provider's own sentence, redacted; of a skipped candidate, what is the request's own matter."""
    limit: bool = False
    """It is a limit that stands in the way, though `reason` does not say so."""

    def shown(self) -> Mapping[str, Any]:
        ready = self.ready_in_seconds
        return {
            "target": self.target,
            "credential": self.credential,
            "reason": self.reason,
            "ready_in_seconds": None if ready is None else round(ready, 3),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    status: int
    code: str
    message: str
    retry_after_seconds: int | None
    should_retry: bool | None


def refuse(route: str, parts: Sequence[Part], *, deadline: str = "") -> Refusal:
    """The honest answer for a route none of whose candidates could serve.

    `deadline`: the name of the deadline that passed, where one has ended the request.
    """
    message = _sentence(route, parts, deadline=deadline)
    if deadline:
        return Refusal(
            status=504,
            code="deadline",
            message=message,
            retry_after_seconds=None,
            should_retry=None,
        )
    status, code = _status(parts)
    soonest = min((_ready(each) for each in parts), default=inf)
    short = soonest <= RETRY_AFTER_MAX_SECONDS
    full = any(each.reason == FULL for each in parts)
    return Refusal(
        status=status,
        code=code,
        message=message,
        retry_after_seconds=max(1, ceil(soonest)) if short else None,
        should_retry=None if short or full else False,
    )


def _status(parts: Sequence[Part]) -> tuple[int, str]:
    """What would have to end first decides; a request that nobody could ever take is its own."""
    reasons = {each.reason for each in parts}
    if not reasons:
        return 503, "exhausted"
    if reasons <= NO_MODEL:
        return 404, "model_not_found"
    if reasons <= NO_DIALECT:
        return 400, UNTRANSLATABLE if UNTRANSLATABLE in reasons else "dialect"
    if reasons <= TOO_LONG:
        return 400, "context_too_long"
    binding = min(parts, key=_ready)
    if binding.reason in LIMITS or binding.limit:
        return 429, binding.reason
    if FULL in reasons and _ready(binding) == inf:
        return 429, FULL
    return 503, "exhausted"


def _ready(part: Part) -> float:
    """Seconds to when it comes back by itself; infinite where it never does or nobody knows."""
    ready = part.ready_in_seconds
    return inf if ready is None or part.reason in FOR_GOOD else ready


def _sentence(route: str, parts: Sequence[Part], *, deadline: str) -> str:
    first = next((each for each in parts if each.message), None)
    said = f"{first.message.rstrip('.')}. " if first is not None else ""
    listed = ", ".join(dict.fromkeys(f"{each.target} {each.reason}" for each in parts))
    why = f"{deadline} passed" if deadline else "no target could answer"
    return f"{said}Route {route!r}: {why}{f' ({listed})' if listed else ''}."
