"""What clients may ask for: routes first, then targets, in the shape of whichever SDK asks."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.api.access import may_use
from gateway.api.context import CONTEXT
from gateway.api.endpoints import is_google
from gateway.api.errors import json_response
from gateway.config import Client
from gateway.wire.base import ClientError
from gateway.wire.headers import client_keys, first_values

SINCE = "2026-01-01T00:00:00Z"
SINCE_SECONDS = 1_767_225_600
"""SDKs want a date of birth for a model; a name of ours has none, so that all share one."""


async def models(request: web.Request) -> web.Response:
    names = _names(request)
    if is_google(request):
        return json_response({"models": [_gemini(name) for name in names]})
    if "anthropic-version" not in request.headers:
        return json_response({"object": "list", "data": [_openai(name) for name in names]})
    return json_response(
        {
            "data": [_anthropic(name) for name in names],
            "has_more": False,
            "first_id": names[0] if names else None,
            "last_id": names[-1] if names else None,
        }
    )


async def model(request: web.Request) -> web.Response:
    """Also of a target that is not listed, since a client may ask for it."""
    name = _known(request)
    shape = _anthropic if "anthropic-version" in request.headers else _openai
    if is_google(request):
        shape = _gemini
    return json_response(shape(name))


async def gemini_models(request: web.Request) -> web.Response:
    return json_response({"models": [_gemini(name) for name in _names(request)]})


async def gemini_model(request: web.Request) -> web.Response:
    return json_response(_gemini(_known(request)))


def _known(request: web.Request) -> str:
    """The model of the path. Raises `HTTPNotFound`."""
    name: str = request.match_info["name"]
    known = request.app[CONTEXT].pool.directory.find(name) is not None
    if not known or not may_use(_client(request), name):
        raise web.HTTPNotFound
    return name


def _names(request: web.Request) -> list[str]:
    client = _client(request)
    names = request.app[CONTEXT].pool.directory.names()
    return [name for name in names if may_use(client, name)]


def _client(request: web.Request) -> Client | None:
    """Raises `HTTPUnauthorized` and `HTTPForbidden`, which the middleware puts into the dialect."""
    access = request.app[CONTEXT].access
    try:
        access.guard_clients(request.headers)
        return access.client(
            client_keys(first_values(request.headers.items()), request.query.get("key", ""))
        )
    except ClientError as error:
        raise (web.HTTPForbidden if error.status == 403 else web.HTTPUnauthorized) from error


def _openai(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": SINCE_SECONDS, "owned_by": "evenkeel"}


def _anthropic(name: str) -> dict[str, Any]:
    return {"id": name, "type": "model", "display_name": name, "created_at": SINCE}


def _gemini(name: str) -> dict[str, Any]:
    methods = ["generateContent", "streamGenerateContent", "countTokens"]
    return {
        "name": f"models/{name}",
        "displayName": name,
        "version": "1",
        "supportedGenerationMethods": methods,
    }
