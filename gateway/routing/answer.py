"""What a client is told when no candidate could take its request: status, sentence, when to retry.

The status comes from the binding cause (what would have to end first for the request to succeed),
the sentence from the first real failure, the list from every candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from gateway.events import Failure, SkipReason

RETRY_AFTER_MAX_SECONDS = 30.0
"""A longer wait is not put into `Retry-After`: a well-known SDK sleeps for any value."""

LIMITS = frozenset({Failure.RATE_LIMITED.value, Failure.QUOTA_EXHAUSTED.value})
FOR_GOOD = frozenset(
    {
        Failure.AUTH.value,
        Failure.MODEL_NOT_FOUND.value,
        Failure.UNSUPPORTED.value,
        SkipReason.DIALECT.value,
        SkipReason.CONTEXT_SIZE.value,
        SkipReason.BILLING_CLASS.value,
    }
)
"""Reasons that trying again does not cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One candidate's part in the answer."""

    target: str
    credential: str
    reason: str
    ready_in_seconds: float | None
    """0 = now; None = nobody knows, or not without a change."""
    message: str = ""
    """The provider's own sentence, redacted; empty for a skipped candidate."""

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


def refuse(route: str, parts: Sequence[Part], *, deadline_passed: bool = False) -> Refusal:
    """The honest answer for a route none of whose candidates could serve."""
    status, code = _status(parts, deadline_passed=deadline_passed)
    ready = [each.ready_in_seconds for each in parts if each.ready_in_seconds is not None]
    soonest = min(ready, default=None)
    message = _sentence(route, parts, deadline_passed=deadline_passed)
    if deadline_passed:
        return Refusal(
            status=status,
            code=code,
            message=message,
            retry_after_seconds=None,
            should_retry=None,
        )
    final = all(each.reason in FOR_GOOD for each in parts)
    short = soonest is not None and soonest <= RETRY_AFTER_MAX_SECONDS and not final
    return Refusal(
        status=status,
        code=code,
        message=message,
        retry_after_seconds=max(1, ceil(soonest)) if short and soonest is not None else None,
        should_retry=None if short else False,
    )


def _status(parts: Sequence[Part], *, deadline_passed: bool) -> tuple[int, str]:
    if deadline_passed:
        return 504, "deadline"
    reasons = {each.reason for each in parts}
    if reasons <= {Failure.MODEL_NOT_FOUND.value, Failure.UNSUPPORTED.value}:
        return 404, "model_not_found"
    if reasons <= {SkipReason.DIALECT.value}:
        return 400, "dialect"
    if reasons <= {SkipReason.CONTEXT_SIZE.value}:
        return 400, "context_too_long"
    binding = min(parts, key=_binding)
    if binding.reason in LIMITS:
        return 429, binding.reason
    return 503, "exhausted"


def _binding(part: Part) -> tuple[bool, float]:
    """Soonest first; what never comes back by itself is last."""
    ready = part.ready_in_seconds
    never = part.reason in FOR_GOOD or ready is None
    return (never, 0.0 if ready is None else ready)


def _sentence(route: str, parts: Sequence[Part], *, deadline_passed: bool) -> str:
    first = next((each for each in parts if each.message), None)
    said = f"{first.message.rstrip('.')}. " if first is not None else ""
    listed = ", ".join(dict.fromkeys(f"{each.target} {each.reason}" for each in parts))
    why = "the deadline passed" if deadline_passed else "no target could answer"
    return f"{said}Route {route!r}: {why} ({listed})."
