"""Who may do what: client keys with their routes and limits, the admin key, pages of other sites."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.gateways import (
    ANTHROPIC_PATH,
    OPENAI_PATH,
    Served,
    anthropic,
    asked,
    client_of,
    gateway,
    gemini,
    openai,
    settings_of,
)
from tests.upstream import ScriptedUpstream

AUTH: dict[str, Any] = {
    "clients": [
        {"name": "all", "key": "key-all"},
        {"name": "some", "key": "key-some", "routes": ["cod*", "a/*"]},
        {"name": "slow", "key": "key-slow", "requests_per_minute": 2},
    ],
    "admin_key": "key-admin",
}


@asynccontextmanager
async def keyed(folder: Path, auth: dict[str, Any]) -> AsyncIterator[tuple[Served, Any]]:
    async with ScriptedUpstream() as a:
        provider = openai(a, models={"list": ["model-a"]})
        settings = settings_of(
            {"a": provider}, {"coder": ["a/model-a"], "writer": ["a/model-a"]}, auth=auth
        )
        async with gateway(folder, settings) as g:
            yield g, a


FORMS = [
    {"authorization": "Bearer {}"},
    {"authorization": "bearer {}"},
    {"x_api_key": "{}"},
    {"x_goog_api_key": "{}"},
    {"api_key": "{}"},
    # An agent may carry a key of its own as well.
    {"authorization": "Bearer something-else", "x_api_key": "{}"},
]


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_of_a_key_is_taken(tmp_path: Path, form: dict[str, str]) -> None:
    async with keyed(tmp_path, AUTH) as (g, _):
        headers: dict[str, Any] = {name: value.format("key-all") for name, value in form.items()}
        got = await g.client.chat(**headers)
        assert got.status == 200
        admin = {name: value.format("key-admin") for name, value in form.items()}
        status = await g.client.get("/api/v1/status", **admin)
        assert status.status == 200
        row = await g.client.get(f"/api/v1/requests/{got.request_id}", **admin)
        assert row.json["request"]["client"] == "all"


GEMINI = "/v1beta/models/coder:generateContent"
RESPONSES = "/v1/responses"


@pytest.mark.parametrize("form", [*FORMS, {}])
@pytest.mark.parametrize("path", [RESPONSES, ANTHROPIC_PATH, GEMINI])
async def test_every_form_is_taken_in_every_dialect_and_ends_here(
    tmp_path: Path, path: str, form: dict[str, str]
) -> None:
    async with ScriptedUpstream() as a:
        made = settings_of(
            {
                "o": openai(a, responses="native"),
                "a": anthropic(a),
                "g": gemini(a),
            },
            {"coder": [{RESPONSES: "o/m", GEMINI: "g/m"}.get(path, "a/m")]},
            auth=AUTH,
        )
        async with gateway(tmp_path, made) as g:
            headers: dict[str, Any] = {name: each.format("key-all") for name, each in form.items()}
            bodies: dict[str, Any] = {
                RESPONSES: {"input": "Hi"},
                GEMINI: {"contents": [{"role": "user"}]},
            }
            body = {"model": "coder", **bodies.get(path, asked(path, "coder"))}
            query = "?beta=true" if form else "?key=key-all&beta=true"
            got = await g.client.post(path + query, body, **headers)
            assert got.status == 200, got.body
            [hit] = a.hits
            assert (hit.key, hit.query) == ("sk-key-1", "beta=true")
            assert "key-all" not in str(hit.headers)
            wrong = await g.client.post(path, body, x_api_key="nobody's")
            assert (wrong.status, wrong.headers["x-should-retry"]) == (401, "false")


async def test_a_client_gets_its_routes_only(tmp_path: Path) -> None:
    async with keyed(tmp_path, AUTH) as (g, a):
        key: dict[str, Any] = {"authorization": "Bearer key-some"}
        assert (await g.client.chat("coder", **key)).status == 200
        assert (await g.client.chat("a/model-a", **key)).status == 200
        refused = await g.client.chat("writer", **key)
        assert (refused.status, refused.json["error"]["code"]) == (403, "route_not_allowed")
        models = (await g.client.get("/v1/models", **key)).json["data"]
        assert [each["id"] for each in models] == ["coder", "a/model-a"]
        assert (await g.client.get("/v1/models/writer", **key)).status == 404
        assert (
            await g.client.get("/v1/models/writer", authorization="Bearer key-all")
        ).status == 200
        assert len(a.hits) == 2


@pytest.mark.parametrize("path", [OPENAI_PATH, ANTHROPIC_PATH])
async def test_a_client_over_its_rate_is_shed(tmp_path: Path, path: str) -> None:
    async with keyed(tmp_path, AUTH) as (g, a):
        key: dict[str, Any] = {"x_api_key": "key-slow"}
        got = [await g.client.ask(path, "coder", **key) for _ in range(4)]
        served = 200
        assert [each.status for each in got] == [served, served, 429, 429]
        assert 25 <= int(got[2].headers["retry-after"]) <= 30
        assert "x-should-retry" not in got[2].headers
        kind = "rate_limit_error"
        assert got[2].json["error"]["type"] == kind
        others = await g.client.ask(path, "coder", x_api_key="key-all")
        assert others.status == served
        admin = {"authorization": "Bearer key-admin"}
        rows = (await g.client.get("/api/v1/requests?outcome=shed", **admin)).json["items"]
        assert [(row["client"], row["reason"], row["attempts"]) for row in rows] == [
            ("slow", "client_rate_limited", 0),
            ("slow", "client_rate_limited", 0),
        ]
        status = (await g.client.get("/api/v1/status", **admin)).json
        assert status["cooldowns"] == []
        series = await g.client.metrics()
        assert series.total("evenkeel_requests_total", outcome="shed") == 2
        assert len(a.hits) == 3


@pytest.mark.parametrize(
    "path",
    ["status", "config", "events", "requests", "requests/x", "attempts", "switches", "cooldowns"],
)
async def test_state_and_history_need_the_admin_key(tmp_path: Path, path: str) -> None:
    async with keyed(tmp_path, AUTH) as (g, _):
        for key in ("", "Bearer key-all", "Bearer wrong"):
            got = await g.client.get(f"/api/v1/{path}", authorization=key)
            assert (got.status, got.json["error"]["code"]) == (401, "invalid_admin_key")
        got = await g.client.get(f"/api/v1/{path}", authorization="Bearer key-admin")
        assert got.status in (200, 404)


async def test_health_metrics_and_the_page_need_no_key(tmp_path: Path) -> None:
    async with keyed(tmp_path, AUTH) as (g, _):
        for path in ("/healthz", "/readyz", "/metrics", "/"):
            assert (await g.client.get(path)).status == 200
        assert (await g.client.get("/v1/models")).status == 401


FOREIGN = [
    ({"host": "evil.example"}, "foreign_host"),
    ({"host": "evil.example:8080"}, "foreign_host"),
    ({"host": "192.168.1.5"}, "foreign_host"),
    ({"host": "127.0.0.1.evil.example"}, "foreign_host"),
    ({"host": "user@127.0.0.1"}, "foreign_host"),
    ({"origin": "https://evil.example"}, "foreign_origin"),
    ({"origin": "http://localhost:1"}, "foreign_origin"),
    ({"origin": "null"}, "foreign_origin"),
]


@pytest.mark.parametrize(("headers", "code"), FOREIGN)
async def test_without_keys_other_sites_are_kept_out(
    tmp_path: Path, headers: dict[str, Any], code: str
) -> None:
    """A page anywhere may make a browser on this machine send requests here (DNS rebinding)."""
    async with keyed(tmp_path, {}) as (g, a):
        for path in (OPENAI_PATH, ANTHROPIC_PATH):
            got = await g.client.ask(path, "coder", **headers)
            assert (got.status, got.json["error"]["code"]) == (403, code)
        got = await g.client.get("/api/v1/status", **headers)
        assert (got.status, got.json["error"]["code"]) == (403, code)
        assert (await g.client.get("/v1/models", **headers)).status == 403
        assert not a.hits


OWN: list[dict[str, Any]] = [
    {"host": "localhost:1"},
    {"host": "[::1]:8080"},
    {"host": "evenkeel.localhost"},
    {"host": "localhost:3000", "origin": "http://localhost:3000"},
    {"origin": "vscode-file://vscode-app"},
]


@pytest.mark.parametrize("headers", OWN)
async def test_without_keys_this_machine_is_served(tmp_path: Path, headers: dict[str, Any]) -> None:
    async with keyed(tmp_path, {}) as (g, _):
        assert (await g.client.chat(**headers)).status == 200


async def test_the_console_s_own_page_may_ask(tmp_path: Path) -> None:
    async with keyed(tmp_path, {}) as (g, _), client_of(g.url, origin=g.url) as page:
        assert (await page.get("/api/v1/status")).status == 200


async def test_with_keys_any_host_is_served(tmp_path: Path) -> None:
    async with keyed(tmp_path, AUTH) as (g, _):
        got = await g.client.chat(host="gateway.example", authorization="Bearer key-all")
        assert got.status == 200
