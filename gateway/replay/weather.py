"""What a candidate would have answered: what the request itself met there, else the weather that
was last seen.

Between two observations the weather is held; before the first one, that one counts. A reset that
the provider stated ends a limit. Where nobody ever looked nothing is known, and the caller is told.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gateway.events import AttemptOutcome, Failure, Scope
from gateway.replay.recorded import Asked, Tried
from gateway.units import MICROS, Timestamp

WIDE = frozenset({Scope.TARGET, Scope.PROVIDER})
"""A failure that blames these is the target's weather, whoever's key met it."""
USUAL_SECONDS = 1.0
"""An answer's first content where nothing at all is known."""


class Known(StrEnum):
    """Where an answer of the replay is from."""

    OWN = "own"
    """The request met it there itself."""
    HELD = "held"
    """Another request did, before or after."""
    UNSEEN = "unseen"


class Unseen(StrEnum):
    """What is assumed of a target that no request was sent to."""

    GOOD = "good"
    BAD = "bad"


@dataclass(slots=True)
class _Line:
    """Observations in the order of their times."""

    times: list[Timestamp] = field(default_factory=list)
    seen: list[Tried] = field(default_factory=list)

    def add(self, tried: Tried) -> None:
        self.times.append(tried.started)
        self.seen.append(tried)

    def at(self, ts: Timestamp) -> Tried | None:
        """The last one that had begun; the first one before there was any."""
        if not self.seen:
            return None
        return self.seen[max(0, bisect_right(self.times, ts) - 1)]


class Weather:
    """Of all candidates, as `observed`, which is in the order of time."""

    def __init__(self, observed: Sequence[Tried], *, unseen: Unseen = Unseen.GOOD) -> None:
        self._candidates: dict[tuple[str, str], _Line] = defaultdict(_Line)
        self._targets: dict[str, _Line] = defaultdict(_Line)
        self._good: dict[str, _Line] = defaultdict(_Line)
        self._unseen = unseen
        for each in observed:
            if not _tells(each):
                continue
            self._candidates[(each.target, each.credential)].add(each)
            good = each.outcome is AttemptOutcome.OK
            if good or each.scope in WIDE:
                self._targets[each.target].add(each)
            if good:
                self._good[each.target].add(each)

    def at(self, target: str, credential: str, ts: Timestamp, asked: Asked) -> tuple[Known, Tried]:
        """What `asked` would have met there at `ts`."""
        seen = self._last(target, credential, ts)
        if seen is None:
            bad = self._unseen is Unseen.BAD
            return Known.UNSEEN, _supposed(target, credential, ts, asked, bad=bad)
        if seen.outcome is AttemptOutcome.OK or not _over(seen, ts):
            return Known.HELD, seen
        good = self._good.get(target, _Line()).at(ts)
        return Known.HELD, good or _supposed(target, credential, ts, asked, bad=False)

    def _last(self, target: str, credential: str, ts: Timestamp) -> Tried | None:
        """The candidate's own; the target's where that is newer and says more about the target."""
        own = self._candidates.get((target, credential), _Line()).at(ts)
        wide = self._targets.get(target, _Line()).at(ts)
        if own is None or wide is None:
            return own or wide
        narrow = own.outcome is not AttemptOutcome.OK and own.scope not in WIDE
        newer = own.started < wide.started <= ts
        return wide if newer and not narrow else own


def _tells(tried: Tried) -> bool:
    """What a client broke off, or was at fault for itself, says nothing about the weather."""
    if tried.outcome is AttemptOutcome.OK:
        return True
    return tried.scope is not None


def _over(tried: Tried, ts: Timestamp) -> bool:
    if tried.stated_seconds is None:
        return False
    return ts >= tried.ended + tried.stated_seconds * MICROS


def _supposed(target: str, credential: str, ts: Timestamp, asked: Asked, *, bad: bool) -> Tried:
    """As the request's own answer came, wherever that was; or a refusal."""
    served = next((each for each in asked.tried if each.outcome is AttemptOutcome.OK), None)
    first = served.first_content_seconds if served is not None else None
    supposed = Tried(
        started=ts,
        target=target,
        credential=credential,
        outcome=AttemptOutcome.OK,
        failure=None,
        reason="",
        status=200,
        scope=None,
        stated_seconds=None,
        duration_seconds=served.duration_seconds if served is not None else USUAL_SECONDS,
        first_content_seconds=USUAL_SECONDS if first is None else first,
        changes="",
    )
    if not bad:
        return supposed
    return replace(
        supposed,
        outcome=AttemptOutcome.FAILED,
        failure=Failure.OVERLOADED,
        reason="unseen",
        status=None,
        scope=Scope.TARGET,
        duration_seconds=0.0,
        first_content_seconds=None,
    )
