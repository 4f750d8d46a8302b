from __future__ import annotations

import re

from gateway.api import routes
from gateway.api.openapi import QUESTIONS, document
from storage.questions import QUESTIONS as ASKED
from tests.gateway.api.serving import api


async def test_it_names_every_path_below_api_and_no_other() -> None:
    async with api() as served:
        app = routes.application(served.context)
        served_paths = set()
        for route in app.router.routes():
            path = route.resource.canonical if route.resource is not None else ""
            if not path.startswith("/api/") or route.method == "HEAD":
                continue
            # aiohttp shows `{act}` for `{act:rest|drain}`: the acts are paths of their own here.
            served_paths.add((route.method.lower(), path))
    told = set()
    for path, methods in document("1").get("paths", {}).items():
        for method in methods:
            act = re.sub(r"/(rest|drain|enable|pin|unpin|clear-penalty)$", "/{act}", path)
            told.add((method, act))
    assert told == served_paths


def test_it_knows_the_questions_of_the_store() -> None:
    assert tuple(ASKED) == QUESTIONS


async def test_it_is_served() -> None:
    async with api() as served, served.http.get(f"{served.url}/api/v1/openapi.json") as answer:
        assert answer.status == 200
        found = await answer.json()
    assert (found["openapi"], found["info"]["version"]) == ("3.1.0", "1.2.3")
