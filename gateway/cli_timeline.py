"""One request as a timeline: every candidate in order, what followed from it, waits, the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.cli_output import length
from gateway.cli_sentences import Item, place, sentence
from gateway.events import AttemptFinished, CandidateSkipped, RequestFinished
from gateway.units import MICROS

WAIT_SHOWN_SECONDS: Final = 0.01
"""Less than that between two candidates is deciding, not waiting."""
TOLD_ITSELF: Final = frozenset({RequestFinished.kind, AttemptFinished.kind, CandidateSkipped.kind})
"""Events that the rows of the request and its candidates already tell."""
STREAM_ENDS: Final = {"broken": "the stream broke off", "client_gone": "the client went away"}


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened at `at` (Unix microseconds)."""

    at: int
    n: int
    """The candidate that was looked at then; 0 before the first."""
    words: str
    outcome: str = ""
    """Of a candidate; empty where the line tells what followed from it."""


def timeline(
    request: Item | None, candidates: Sequence[Item], happened: Iterable[Item]
) -> list[Line]:
    """From the request's beginning to its end. `request` is None while that is not known;
    `happened` are the request's events, in any order."""
    lines = [line for each in candidates for line in _candidate(each)]
    lines += [
        Line(event["ts"], _caused_by(event, candidates), sentence(event))
        for event in happened
        if event.get("kind") not in TOLD_ITSELF
    ]
    # The candidates' order is what is certain: a clock may have been set meanwhile.
    lines.sort(key=lambda line: (line.n, line.at))
    if request is None:
        return lines
    began, end = Line(request["started"], 0, "began"), _end(request, candidates)
    return [began, *_with_waits(request, lines, candidates), end]


def began(request: Item | None, candidates: Sequence[Item]) -> int:
    """Where offsets are counted from: the request's start, else that of its first candidate."""
    if request is not None:
        return int(request["started"])
    return min((_start(each) for each in candidates), default=0)


def _caused_by(event: Item, candidates: Sequence[Item]) -> int:
    """The candidate whose failure the event names, else the one that was under way: what happens
    at the moment in which the next one begins is the end of the one before."""
    cause = event.get("trigger_attempt_id") or event.get("attempt_id")
    if cause:
        for each in candidates:
            if each.get("attempt_id") == cause:
                return int(each["n"])
    return max((each["n"] for each in candidates if _start(each) < event["ts"]), default=0)


def _candidate(candidate: Item) -> Iterator[Line]:
    n, start = candidate["n"], _start(candidate)
    yield Line(start, n, f"{_where(candidate)} {_became(candidate)}", candidate["outcome"])
    changes = (candidate.get("changes") or "").split()
    if changes:
        yield Line(start, n, f"sent with changes: {', '.join(changes)}")
    content = candidate.get("first_content_seconds")
    if content is not None:
        at = start + round(content * MICROS)
        yield Line(at, n, f"first content, {length(content)} after it was asked")
    if candidate.get("excerpt"):
        yield Line(_over(candidate), n, f"it said: {candidate['excerpt']}")


def _where(candidate: Item) -> str:
    if candidate.get("provider"):
        return place(candidate)
    key = candidate.get("credential")
    return f"{candidate.get('target') or '?'}{f' [{key}]' if key else ''}"


def _became(candidate: Item) -> str:
    if candidate["outcome"] == "skipped":
        return f"skipped: {_skipped(candidate)}"
    tried = "tried as a probe" if candidate.get("probe") else "tried"
    after = length(candidate.get("duration_seconds")) or "?"
    match candidate["outcome"]:
        case "ok":
            return f"{tried}: answered in {after}"
        case "failed":
            return f"{tried}: failed after {after}, {_failed(candidate)}"
        case outcome:
            return f"{tried}: {outcome} after {after}"


def _skipped(candidate: Item) -> str:
    words = str(candidate.get("reason") or "?") + _brackets(candidate.get("cause"))
    until, ts = candidate.get("until"), candidate.get("ts")
    if until is None or ts is None:
        return words
    return f"{words}, for {length((until - ts) / MICROS)} more"


def _failed(candidate: Item) -> str:
    failure, reason = candidate.get("failure"), candidate.get("reason")
    words = f"{failure or '?'}{_brackets(candidate.get('status'), reason != failure and reason)}"
    stated = candidate.get("stated_seconds")
    return words if stated is None else f"{words}, and asked for a rest of {length(stated)}"


def _with_waits(request: Item, lines: Sequence[Line], candidates: Sequence[Item]) -> Iterator[Line]:
    """Between two candidates nothing is under way: where the request waited, it was there."""
    waited = (request.get("waited_seconds") or 0.0) >= WAIT_SHOWN_SECONDS
    ends = {each["n"]: _over(each) for each in candidates}
    free = request["started"]
    for line in lines:
        gap = (line.at - free) / MICROS
        if waited and line.outcome and gap >= WAIT_SHOWN_SECONDS:
            yield Line(free, line.n - 1, f"waited {length(gap)} for a candidate")
        yield line
        if line.outcome:
            free = max(free, ends[line.n])


def _end(request: Item, candidates: Sequence[Item]) -> Line:
    words = (
        f"{request['outcome']}, status {request['status']}",
        f"{request['bytes_sent']} bytes sent" if request.get("bytes_sent") else "",
        STREAM_ENDS.get(request.get("stream_end") or "", ""),
    )
    at = request["started"] + round(request["duration_seconds"] * MICROS)
    told = ", ".join(word for word in words if word)
    return Line(at, max((each["n"] for each in candidates), default=0), f"ended: {told}")


def _start(candidate: Item) -> int:
    """When it was asked, or skipped."""
    found = candidate.get("started")
    return int(candidate.get("ts") or 0) if found is None else int(found)


def _over(candidate: Item) -> int:
    return _start(candidate) + round((candidate.get("duration_seconds") or 0.0) * MICROS)


def _brackets(*words: object) -> str:
    told = ", ".join(str(word) for word in words if word)
    return f" ({told})" if told else ""
