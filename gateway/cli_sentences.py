"""One plain sentence per item of `/api/v1/events`. The console's are in `console/words.js`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.cli_output import length, printable
from gateway.events import (
    AttemptFinished,
    CandidateSkipped,
    ConfigRejected,
    ConfigReloaded,
    CooldownEnded,
    CooldownExtended,
    CooldownStarted,
    DataGap,
    FlappingEnded,
    FlappingStarted,
    HistoryAdapted,
    LocalNetwork,
    OperatorActed,
    PoolWideFailure,
    ProcessStarted,
    ProcessStopped,
    RequestFinished,
    SessionMoved,
    Switched,
)
from gateway.units import MICROS

Item = Mapping[str, Any]
PLAIN_FIELDS_MAX: Final = 6
"""Of a kind that this version does not know: enough to recognise it by."""
SWITCH_VERBS: Final = {"return": "returned", "operator": "was moved"}
BOOKKEEPING: Final = frozenset({"id", "seq", "boot_id", "config_version", "ts", "kind"})


def sentence(item: Item) -> str:
    """What happened, of any kind, also one that a newer gateway made up."""
    say = SENTENCES.get(str(item.get("kind", "")), _unknown)
    return printable(say(item))


def place(item: Item) -> str:
    """What an event is about: a target, a credential, a quota group, a provider."""
    provider, model = _word(item, "provider"), _word(item, "model")
    credential = _word(item, "credential")
    where = f"{provider}/{model}" if provider and model else provider or model
    if item.get("scope") == "quota_group":
        where = f"{provider}, quota group {model}"
    return f"{where} [{credential}]" if credential else where


def _word(item: Item, name: str) -> str:
    found = item.get(name)
    return "" if found is None else str(found)


def _seconds(item: Item, name: str) -> str:
    found = item.get(name)
    return length(found) if isinstance(found, int | float) else "?"


def _brackets(*words: str) -> str:
    told = ", ".join(dict.fromkeys(word for word in words if word))
    return f" ({told})" if told else ""


def _request(item: Item) -> str:
    route = _word(item, "route") or _word(item, "requested_model")
    target = place({**item, "credential": ""})
    if item.get("outcome") != "ok":
        failed = _brackets(_word(item, "status"), _word(item, "failure"), _word(item, "reason"))
        who = f"{route}: request" if route else "a request"
        return f"{who} ended as {_word(item, 'outcome')}{failed}"
    rescued = _word(item, "fallback_from")
    instead = _brackets(_word(item, "fallback_reason"))
    told = f" instead of {rescued}{instead}" if rescued else ""
    return f"{route}: answered by {target} in {_seconds(item, 'duration_seconds')}{told}"


def _attempt(item: Item) -> str:
    if item.get("outcome") == "ok":
        return f"{place(item)} answered in {_seconds(item, 'duration_seconds')}"
    if item.get("outcome") == "cancelled":
        return f"{place(item)}: the client went away"
    status = _word(item, "status")
    return (
        f"{place(item)} failed: {_word(item, 'failure')}{_brackets(status, _word(item, 'reason'))}"
    )


def _skipped(item: Item) -> str:
    return f"{place(item)} skipped: {_word(item, 'reason')}{_brackets(_word(item, 'cause'))}"


def _switched(item: Item) -> str:
    verb = SWITCH_VERBS.get(_word(item, "switch"), "switched")
    reason = _brackets(_word(item, "reason"))
    back = ", a reversal" if item.get("reversal") else ""
    dwell = f", after {_seconds(item, 'dwell_seconds')}"
    return (
        f"{_word(item, 'route')} {verb} {_word(item, 'from')} → {_word(item, 'to')}"
        f"{reason}{dwell}{back}"
    )


def _cooling(item: Item) -> str:
    rests = _seconds(item, "duration_seconds")
    if item.get("source") == "hold":
        return f"{place(item)} is held behind the others on {_word(item, 'route')} for {rests}"
    level = f"level {item['level']}" if item.get("level") else ""
    told = _brackets(_word(item, "source"), level, "a relapse" if item.get("relapse") else "")
    return f"{place(item)} rests for {rests}: {_word(item, 'reason')}{told}"


def _extended(item: Item) -> str:
    told = _brackets(_word(item, "source"))
    rests = _seconds(item, "duration_seconds")
    return f"{place(item)} rests longer, {rests} in all: {_word(item, 'reason')}{told}"


def _rested(item: Item) -> str:
    what = f"hold on {_word(item, 'route')}" if item.get("source") == "hold" else "rest"
    rested = _seconds(item, "duration_seconds")
    ended = _brackets(_word(item, "ended"), _word(item, "actor"), _word(item, "note"))
    return f"{place(item)}: {what} over after {rested}{ended}"


def _flapping(item: Item) -> str:
    penalty, span = item.get("penalty"), _span(item)
    told = f"penalty {penalty:.0f}" if isinstance(penalty, int | float) else ""
    longest = f"for {span} at most" if span else ""
    because = _brackets(told, longest)
    return f"{_word(item, 'route')} is flapping because of {_word(item, 'target')}{because}"


def _steady(item: Item) -> str:
    return f"{_word(item, 'route')} is steady again after {_seconds(item, 'duration_seconds')}"


def _session(item: Item) -> str:
    origin, to = _word(item, "from"), _word(item, "to")
    keys = _word(item, "from_credential"), _word(item, "to_credential")
    told = _brackets(_word(item, "move"), _word(item, "reason"))
    before, after = (f" [{key}]" if key else "" for key in keys)
    moved = f"moved {origin}{before} → {to}{after}"
    if origin == to:
        moved = f"moved to another key of {to}: {keys[0]} → {keys[1]}"
    return f"{_word(item, 'route')}: session {moved}{told}"


def _adapted(item: Item) -> str:
    what = ", ".join(map(str, item.get("adapted") or ["?"]))
    refused = _brackets(_word(item, "reason"))
    return f"{place(item)} refused another's {what}: sent again without{refused}"


def _operator(item: Item) -> str:
    actor, action = _word(item, "actor") or "operator", _word(item, "action")
    target = _word(item, "target") or _word(item, "provider")
    about = (place(item) if item.get("credential") else target) or "everything"
    route, span = _word(item, "route"), _span(item)
    lasting = f" for {span}" if span else ""
    done = {
        "reset": f"ended the cooldowns of {about}",
        "rest": f"let {about} rest{lasting}",
        "drain": f"drained {about}{lasting}",
        "enable": f"enabled {about}",
        "pin": f"pinned {route} to {about}{lasting}",
        "unpin": f"unpinned {route}",
        "clear_penalty": f"cleared the penalties of {route}",
        "reload": "had the configuration read again",
    }
    return f"{actor} {done.get(action, f'{action} {about}')}{_brackets(_word(item, 'note'))}"


def _span(item: Item) -> str:
    """From when it happened to `until`; empty where there is no end."""
    ts, until = item.get("ts"), item.get("until")
    if not isinstance(ts, int) or not isinstance(until, int):
        return ""
    return length((until - ts) / MICROS)


def _rejected(item: Item) -> str:
    problems = item.get("problems") or ["?"]
    return f"new configuration rejected: {problems[0]}{_brackets(_others(len(problems) - 1))}"


def _others(count: int) -> str:
    return f"and {count} more" if count else ""


def _unknown(item: Item) -> str:
    fields = [f"{name}={item[name]}" for name in item if name not in BOOKKEEPING and item[name]]
    return " ".join([str(item.get("kind", "?")), *fields[:PLAIN_FIELDS_MAX]])


SENTENCES: Final[dict[str, Callable[[Item], str]]] = {
    RequestFinished.kind: _request,
    AttemptFinished.kind: _attempt,
    CandidateSkipped.kind: _skipped,
    Switched.kind: _switched,
    CooldownStarted.kind: _cooling,
    CooldownExtended.kind: _extended,
    CooldownEnded.kind: _rested,
    FlappingStarted.kind: _flapping,
    FlappingEnded.kind: _steady,
    SessionMoved.kind: _session,
    HistoryAdapted.kind: _adapted,
    PoolWideFailure.kind: lambda item: (
        f"{_word(item, 'credentials')} credentials of {_word(item, 'provider')} failed alike: "
        f"{_word(item, 'failure')}"
    ),
    LocalNetwork.kind: lambda item: (
        f"no provider can be reached ({_word(item, 'providers')} tried): the network on this side?"
    ),
    OperatorActed.kind: _operator,
    ConfigReloaded.kind: lambda item: f"configuration reloaded as {_word(item, 'version')}",
    ConfigRejected.kind: _rejected,
    ProcessStarted.kind: lambda item: f"gateway {_word(item, 'version')} started",
    ProcessStopped.kind: lambda item: f"gateway stopped{_brackets(_word(item, 'reason'))}",
    DataGap.kind: lambda item: f"{_word(item, 'dropped')} events lost by {_word(item, 'sink')}",
}
