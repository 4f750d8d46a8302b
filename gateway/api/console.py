"""The built-in page: three files, read once at start, that need nothing from anywhere else."""

from __future__ import annotations

from aiohttp import web

from gateway.api.context import CONTEXT

SECURITY = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
INDEX = "index.html"


async def page(request: web.Request) -> web.Response:
    return _file(request, INDEX)


async def file(request: web.Request) -> web.Response:
    return _file(request, request.match_info["name"])


def _file(request: web.Request, name: str) -> web.Response:
    found = request.app[CONTEXT].console.get(name)
    if found is None:
        raise web.HTTPNotFound
    body, content_type = found
    return web.Response(body=body, headers={"content-type": content_type, **SECURITY})
