"""How the gateway is: health, readiness, metrics, the state of every target, the configuration."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from gateway.api.context import CONTEXT, Context
from gateway.api.errors import json_response
from gateway.config_file import masked
from gateway.routing.snapshot import snapshot
from gateway.units import MICROS


async def health(_request: web.Request) -> web.Response:
    """The process runs and its loop turns; nothing else is looked at."""
    return json_response({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """Whether traffic may come. Upstreams and the store are reported and never fail it."""
    context = request.app[CONTEXT]
    now = context.clock.now()
    view = snapshot(context.pool, now)
    routes = {
        route.route: sum(target.credentials_ready > 0 for target in route.targets)
        for route in view.routes
    }
    body = {
        "status": "ready" if context.ready else "stopping",
        "targets_ready": routes,
        "store": _store_state(context),
    }
    return json_response(body, status=200 if context.ready else 503)


async def metrics(request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    if not context.config.telemetry.prometheus:
        raise web.HTTPNotFound
    body, content_type = await context.scrape(request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"content-type": content_type})


async def status(request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    now = context.clock.now()
    context.emit(context.pool.expire(now))
    view = snapshot(context.pool, now)
    shown = msgspec.to_builtins(view)
    return json_response(
        {
            "version": context.version,
            "config_version": context.spine.config_version,
            "config_path": context.config_path,
            "boot_id": context.boot_id,
            "demo": context.demo,
            "now": now.timestamp,
            "started": context.started,
            "uptime_seconds": (now.timestamp - context.started) / MICROS,
            "events_emitted": context.spine.emitted,
            "store": _store(context),
            "sinks": msgspec.to_builtins(dict(context.spine.stats())),
            "internal_errors": context.internal_errors,
            "routes": shown["routes"],
            "providers": shown["providers"],
            "cooldowns": shown["rests"],
        }
    )


def _store(context: Context) -> dict[str, Any]:
    """The store's own state with that of its sink: it is well if it is open and takes events."""
    found: dict[str, Any] = dict(context.history.store())
    sink = context.spine.stats()["storage"]
    last_error = found["last_error"] or sink.last_error
    found |= msgspec.to_builtins(sink)
    return found | {"ok": found["ok"] and not last_error, "last_error": last_error}


def _store_state(context: Context) -> str:
    if context.spine.stats()["storage"].losing:
        return "losing events"
    return "ok" if _store(context)["ok"] else "failing"


async def config(request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    return json_response(
        {"version": context.spine.config_version, "config": masked(context.config)}
    )
