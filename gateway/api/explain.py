"""`/api/v1/explain`: the decision a request would get now. Sends nothing and changes nothing."""

from __future__ import annotations

from random import Random

import msgspec
from aiohttp import web

from gateway.api.context import CONTEXT
from gateway.api.errors import error_response, json_response
from gateway.api.inference import nearest
from gateway.routing.explaining import explain
from gateway.routing.steps import Facts
from gateway.units import RequestId
from gateway.wire.base import ClientError

DIALECTS = ("openai", "anthropic")


async def explained(request: web.Request) -> web.Response:
    """Query: `model`, and of a request like it `session`, `client`, `dialect`, `body_tokens`."""
    context = request.app[CONTEXT]
    query = request.query
    model = query.get("model", "")
    if not model:
        raise ClientError(400, "invalid_query", "Name a `model`: a route, or provider/model.")
    dialect = query.get("dialect", DIALECTS[0])
    if dialect not in DIALECTS:
        raise ClientError(400, "invalid_query", f"`dialect` is one of {', '.join(DIALECTS)}.")
    tokens = query.get("body_tokens", "0")
    if not (tokens.isascii() and tokens.isdigit() and len(tokens) < 12):
        raise ClientError(400, "invalid_query", "`body_tokens` must be a whole number.")
    now = context.clock.now()
    context.emit(context.pool.expire(now))
    route = context.pool.glimpse(model, now)
    if route is None:
        return error_response(404, "model_not_found", nearest(context, None, model))
    facts = Facts(
        request_id=RequestId(""),
        trace_id="",
        span_id="",
        parent_span_id="",
        session=query.get("session", ""),
        client=query.get("client", ""),
        endpoint="",
        dialect=dialect,
        requested_model=model,
        stream=True,
        body_tokens=int(tokens),
        bytes_received=0,
        began=now,
    )
    lots = Random()
    lots.setstate(context.rng.getstate())
    found = explain(context.pool, route, facts, now, lots)
    return json_response({"model": model, "at": now.timestamp, **msgspec.to_builtins(found)})
