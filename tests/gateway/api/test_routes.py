from __future__ import annotations

import pytest

from tests.gateway.api.serving import api

KEYED = {"auth": {"clients": [{"name": "me", "key": "k"}], "admin_key": "key-admin"}}
ADMIN_ONLY = [
    "/api/v1/status",
    "/api/v1/config",
    "/api/v1/events",
    "/api/v1/requests",
    "/api/v1/requests/x",
    "/api/v1/attempts",
    "/api/v1/switches",
    "/api/v1/switches/aggregate",
    "/api/v1/cooldowns",
]


@pytest.mark.parametrize("path", ADMIN_ONLY)
async def test_state_and_history_stand_behind_the_admin_key(path: str) -> None:
    async with api(KEYED) as a:
        for key in ("", "k", "wrong"):
            status, body = await a.get(path, x_api_key=key)
            assert (status, body["error"]["code"]) == (401, "invalid_admin_key")
        # A key in the query would end up in logs and browser histories.
        assert (await a.get(f"{path}?key=key-admin"))[0] == 401
        assert (await a.get(path, x_api_key="key-admin"))[0] in (200, 404)
    async with api() as a:
        assert (await a.get(path))[0] in (200, 404)
        assert (await a.get(path, host="evil.example"))[0] == 403


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_of_load_balancers_need_no_key_and_no_name(path: str) -> None:
    async with api(KEYED) as a:
        assert (await a.get(path, host="10.0.0.1"))[0] == 200


@pytest.mark.parametrize(
    ("path", "status", "headers"),
    [
        ("/v1/images/generations", 404, {}),
        ("/v1/completions", 404, {}),
        ("/v1/responses/resp_1/cancel", 404, {}),
        ("/v1beta/models/a/b:predict", 404, {}),
        ("/v1beta/models/:generateContent", 404, {}),
        ("/v1beta/cachedContents", 404, {}),
        ("/v1/messages/batches", 501, {}),
        ("/v1/files", 501, {"anthropic-version": "2023-06-01"}),
    ],
)
async def test_what_is_not_served_ends_an_agent_s_retries(
    path: str, status: int, headers: dict[str, str]
) -> None:
    async with api() as a, a.http.post(a.url + path, data=b"{}", headers=headers) as response:
        assert response.status == status
        assert response.headers["x-should-retry"] == "false"
        text = await response.text()
        assert "not_supported" in text.lower()
        assert path in text or path.startswith("/v1/responses")


async def test_a_known_path_asked_in_the_wrong_way_says_so() -> None:
    async with api() as a:
        status, body = await a.get("/v1/chat/completions")
        assert (status, body["error"]["code"]) == (405, "method_not_allowed")


async def test_probes_of_agents_are_answered() -> None:
    async with api() as a:
        assert (await a.get("/health"))[0] == 200
        for path in ("/", "/health"):
            async with a.http.head(a.url + path) as response:
                assert response.status == 200


async def test_a_websocket_is_told_to_use_http() -> None:
    async with api() as a:
        status, body = await a.get("/v1/responses", upgrade="websocket", connection="Upgrade")
        assert (status, body["error"]["code"]) == (426, "upgrade_required")
