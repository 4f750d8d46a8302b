"""The operator's acts over HTTP. Each answers with the events it led to, as the history has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from gateway.api.context import CONTEXT, ReloadRefused
from gateway.api.errors import error_response, json_response
from gateway.events import Event
from gateway.routing.hands import Act, Place, UnknownPlace
from gateway.units import Moment
from gateway.wire.base import ClientError

NOTE_CHARS_MAX = 500
ACTOR_CHARS_MAX = 100
ACTOR_HEADER = "x-evenkeel-actor"
"""Who acts, in words of their own; there is one admin key, so that it proves nothing."""
EXPIRES_SECONDS_MAX = 10 * 365 * 86_400.0

RENAMED = {"from_target": "from", "to_target": "to"}
"""Field of an event → its name in the history."""

Done = Callable[[Act, Moment], list[Event]]


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    target: str = ""
    provider: str = ""
    credential: str = ""
    note: str = ""
    expires_seconds: float | None = None


async def reset(request: web.Request) -> web.Response:
    """Ends cooldowns: of a target, a provider, a credential, or all of them."""
    hands = request.app[CONTEXT].hands
    body = await _body(request)
    place = Place(target=body.target, provider=body.provider, credential=body.credential)
    return _act(request, body, lambda act, now: hands.reset(place, act, now))


async def on_target(request: web.Request) -> web.Response:
    """`rest`, `drain` or `enable`, as the path says."""
    hands = request.app[CONTEXT].hands
    match = request.match_info
    target = f"{match['provider']}/{match['model']}"
    does = {"rest": hands.rest, "drain": hands.drain, "enable": hands.enable}[match["act"]]
    return _act(request, await _body(request), lambda act, now: does(target, act, now))


async def on_route(request: web.Request) -> web.Response:
    """`pin`, `unpin` or `clear-penalty`, as the path says."""
    hands = request.app[CONTEXT].hands
    route, body = request.match_info["route"], await _body(request)
    match request.match_info["act"]:
        case "pin":
            if not body.target:
                raise ClientError(400, "invalid_request", "Name the `target` to pin.")
            return _act(request, body, lambda act, now: hands.pin(route, body.target, act, now))
        case "unpin":
            return _act(request, body, lambda act, now: hands.unpin(route, act, now))
        case _:
            return _act(request, body, lambda act, now: hands.clear_penalty(route, act, now))


async def reload(request: web.Request) -> web.Response:
    """Reads the configuration again; what is wrong with it is told and the old one stays."""
    context, body = request.app[CONTEXT], await _body(request)
    try:
        changes = await context.reload(_actor(request), _note(body))
    except ReloadRefused as refused:
        message = "The configuration was not taken on; the old one is still in force."
        problems = list(refused.problems)
        error = {"code": "config_rejected", "message": message, "problems": problems}
        return json_response({"error": error}, status=422)
    return json_response({"config_version": context.spine.config_version, "changes": changes})


def _act(request: web.Request, body: Body, done: Done) -> web.Response:
    context = request.app[CONTEXT]
    act = Act(
        actor=_actor(request),
        note=_note(body),
        expires_seconds=body.expires_seconds,
    )
    try:
        events = done(act, context.clock.now())
    except UnknownPlace as unknown:
        return error_response(404, "unknown_place", str(unknown))
    context.emit(events)
    return json_response({"done": True, "events": [_shown(event) for event in events]})


def _shown(event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    named = {RENAMED.get(name, name): value for name, value in fields.items()}
    return {"kind": event.kind, **named}


def _note(body: Body) -> str:
    return body.note[:NOTE_CHARS_MAX]


def _actor(request: web.Request) -> str:
    return request.headers.get(ACTOR_HEADER, "")[:ACTOR_CHARS_MAX] or "admin"


async def _body(request: web.Request) -> Body:
    """Raises `ClientError` 400. No body is an empty one."""
    raw = await request.read()
    try:
        body = msgspec.json.decode(raw, type=Body) if raw.strip() else Body()
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ClientError(400, "invalid_request", f"The body is wrong: {error}") from None
    seconds = body.expires_seconds
    if seconds is not None and not 0 < seconds <= EXPIRES_SECONDS_MAX:
        message = f"`expires_seconds` must be above 0 and at most {EXPIRES_SECONDS_MAX:.0f}."
        raise ClientError(400, "invalid_request", message)
    return body
