"""The table of paths, and the door in front of each group of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.api import console, control, explain, history, inference, models, openapi, state
from gateway.api.context import CONTEXT, Context
from gateway.api.endpoints import ENDPOINTS, GEMINI_ROOTS
from gateway.api.errors import SDK_ROOTS, error_response, not_supported, tell_errors
from gateway.wire.headers import client_keys, first_values

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HISTORY_TABLES = ("events", "requests", "attempts", "switches", "cooldowns")


def application(context: Context) -> web.Application:
    app = web.Application(
        middlewares=[tell_errors], client_max_size=context.config.server.max_body_bytes
    )
    app[CONTEXT] = context
    app.add_routes(
        [
            *(web.post(each.path, inference.infer) for each in ENDPOINTS),
            web.get("/v1/models", models.models),
            web.get("/v1/models/{name:.+}", models.model),
            web.get("/v1/responses", kept_nowhere),
            web.route("*", "/v1/responses/{rest:.+}", kept_nowhere),
            *(
                route
                for root in GEMINI_ROOTS
                for route in (
                    web.post(f"{root}/{{rest:.+}}", inference.infer_gemini),
                    web.get(root, models.gemini_models),
                    web.get(f"{root}/{{name:.+}}", models.gemini_model),
                )
            ),
            web.post("/v1/models/{rest:.+}", inference.infer_gemini),
            *(web.route("*", f"{root}{{rest:.+}}", unknown) for root in SDK_ROOTS),
            web.get("/health", state.health),
            web.get("/healthz", state.health),
            web.get("/readyz", state.ready),
            web.get("/metrics", state.metrics),
            web.get("/api/v1/openapi.json", admin(openapi.openapi)),
            web.get("/api/v1/status", admin(state.status)),
            web.get("/api/v1/config", admin(state.config)),
            web.get("/api/v1/requests/{request_id}", admin(history.story)),
            web.get("/api/v1/switches/aggregate", admin(history.aggregate)),
            web.get("/api/v1/questions/{question}", admin(history.question)),
            *(web.get(f"/api/v1/{name}", admin(history.table)) for name in HISTORY_TABLES),
            web.get("/api/v1/explain", admin(explain.explained)),
            web.post("/api/v1/cooldowns/reset", admin(control.reset)),
            web.post(
                "/api/v1/targets/{provider}/{model:.+}/{act:rest|drain|enable}",
                admin(control.on_target),
            ),
            web.post(
                "/api/v1/routes/{route}/{act:pin|unpin|clear-penalty}", admin(control.on_route)
            ),
            web.post("/api/v1/reload", admin(control.reload)),
            web.get("/", console.page, allow_head=False),
            web.head("/", state.health),
            web.get("/console/{name}", console.file),
        ]
    )
    return app


def admin(handler: Handler) -> Handler:
    """`handler` behind the admin key, if there is one."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        access = request.app[CONTEXT].access
        access.guard_admin(request.headers)
        access.admin(client_keys(first_values(request.headers.items()), ""))
        return await handler(request)

    return guarded


async def kept_nowhere(request: web.Request) -> web.StreamResponse:
    """Below `/v1/responses` all is about answers that were kept, and none are. A WebSocket is
    refused with the one status on which Codex turns to HTTP at once."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return error_response(426, "upgrade_required", "Use HTTP: WebSockets are not served.")
    message = (
        "The gateway keeps no responses: they cannot be fetched, cancelled or deleted here. "
        "Only POST /v1/responses is served."
    )
    return not_supported(request, message)


async def unknown(request: web.Request) -> web.StreamResponse:
    """Whatever else a vendor has below its root."""
    if request.path in {each.path for each in ENDPOINTS}:
        raise web.HTTPMethodNotAllowed(request.method, ["POST"])
    return not_supported(request)
