"""What was decided, without ids and clock readings: for comparing two runs."""

from __future__ import annotations

from gateway.events import (
    AttemptFinished,
    CandidateSkipped,
    CooldownEnded,
    CooldownStarted,
    Event,
    FlappingEnded,
    FlappingStarted,
    PoolWideFailure,
    RequestFinished,
    SessionMoved,
    Switched,
)

Decision = tuple[object, ...]


def decision(event: Event) -> Decision | None:
    """None for events that only tell."""
    match event:
        case AttemptFinished():
            names = (event.provider, event.model, event.credential)
            return ("attempt", event.request_id, *names, event.outcome, event.failure, event.probe)
        case CandidateSkipped():
            names = (event.provider, event.model, event.credential)
            return ("skip", event.request_id, event.n, *names, event.reason, event.cause)
        case RequestFinished():
            return ("request", event.request_id, event.outcome, event.provider, event.attempts)
        case Switched():
            return ("switch", event.route, event.from_target, event.to_target, event.switch)
        case SessionMoved():
            return ("session", event.session, event.from_target, event.to_target, event.move)
        case CooldownStarted() | CooldownEnded():
            place = (event.scope, event.provider, event.model, event.credential, event.route)
            return (event.kind, *place, event.reason, event.source)
        case FlappingStarted() | FlappingEnded():
            return (event.kind, event.route, event.target)
        case PoolWideFailure():
            return (event.kind, event.provider, event.failure)
        case _:
            return None


def decisions(events: list[Event]) -> list[Decision]:
    return [each for event in events if (each := decision(event)) is not None]


def first_difference(one: list[Decision], other: list[Decision]) -> str:
    """Empty if there is none."""
    for index, (mine, yours) in enumerate(zip(one, other, strict=False)):
        if mine != yours:
            return f"decision {index}: {mine} against {yours}"
    if len(one) != len(other):
        return f"{len(one)} decisions against {len(other)}"
    return ""
