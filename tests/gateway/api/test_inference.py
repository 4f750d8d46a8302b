from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.events import RequestOutcome
from tests.gateway.api.serving import Api, api

CHAT: dict[str, Any] = {
    "model": "coder",
    "messages": [{"role": "user", "content": "Hi"}],
    "max_tokens": 20,
}
PATHS = ["/v1/chat/completions", "/v1/messages"]
KEYED = {
    "auth": {
        "clients": [{"name": "me", "key": "key-me", "routes": ["coder"], "requests_per_minute": 3}],
        "admin_key": "key-admin",
    }
}


@pytest.mark.parametrize("path", PATHS)
async def test_a_request_is_answered_and_its_row_tells_who_and_what(path: str) -> None:
    async with api(KEYED) as a:
        body = {**CHAT, "metadata": {"user_id": "user_1_session_abc"}}
        status, answer = await a.post(path, body, authorization="Bearer key-me")
        assert status == 200
        assert answer["model"] == "large"
        [row] = await a.finished()
        assert row.outcome is RequestOutcome.OK
        assert (row.client, row.route, row.requested_model) == ("me", "coder", "coder")
        assert (row.endpoint, row.session, row.stream) == (path, "abc", False)
        assert (row.provider, row.model, row.credential) == ("sunny", "large", "main")
        assert row.bytes_received > 50
        assert row.bytes_sent > 50


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "sunny/small", "input": ["a", "b"]}),
        ("/v1/messages/count_tokens", {**CHAT}),
    ],
)
async def test_the_other_endpoints_are_carried_too(path: str, body: object) -> None:
    async with api() as a:
        assert (await a.post(path, body))[0] == 200
        [row] = await a.finished()
        assert (row.endpoint, row.outcome) == (path, RequestOutcome.OK)


REFUSED = [
    (b"{", {}, 400, "invalid_json", {"requested_model": ""}),
    ({**CHAT, "stream": 1}, {}, 400, "invalid_request", {"requested_model": ""}),
    (
        {**CHAT, "model": "coders", "stream": True},
        {},
        403,
        "route_not_allowed",
        {"requested_model": "coders", "stream": True},
    ),
    (CHAT, {"authorization": "Bearer x"}, 401, "invalid_api_key", {"client": ""}),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("body", "headers", "status", "code", "known"), REFUSED)
async def test_a_refused_request_s_row_tells_what_was_known(
    path: str,
    body: object,
    headers: dict[str, str],
    status: int,
    code: str,
    known: dict[str, Any],
) -> None:
    async with api(KEYED) as a:
        named = {"authorization": "Bearer key-me", "x_session_id": "s1", **headers}
        found, answer = await a.post(path, body, **named)
        assert (found, answer["error"]["code"]) == (status, code)
        [row] = await a.finished()
        assert (row.outcome, row.status) == (RequestOutcome.CLIENT_ERROR, status)
        assert (row.reason, row.endpoint, row.session) == (code, path, "s1")
        assert (row.route, row.attempts, row.provider) == ("", 0, "")
        expected = {"client": "me", **known}
        assert {name: getattr(row, name) for name in expected} == expected
        assert row.trace_id
        assert row.duration_seconds >= 0


async def test_a_client_over_its_limit_is_shed_and_on_record() -> None:
    async with api(KEYED) as a:
        statuses = [
            (await a.post(PATHS[0], CHAT, authorization="Bearer key-me"))[0] for _ in range(5)
        ]
        assert statuses == [200, 200, 200, 429, 429]
        rows = await a.finished()
        assert [(row.outcome, row.client) for row in rows[3:]] == [(RequestOutcome.SHED, "me")] * 2


async def test_an_unknown_name_comes_with_its_neighbours() -> None:
    async with api() as a:
        _, answer = await a.post(PATHS[0], {**CHAT, "model": "sunny/larg"})
        assert answer["error"]["message"].startswith(
            "No route or target is called 'sunny/larg'. Did you mean sunny/large"
        )
        _, answer = await a.post(PATHS[0], {**CHAT, "model": "qqq"})
        assert answer["error"]["message"].endswith("See /v1/models.")
        _, answer = await a.post(PATHS[0], {**CHAT, "model": "q" * 400})
        assert len(answer["error"]["message"]) < 300


async def test_names_that_a_client_may_not_use_are_not_told() -> None:
    auth = {"clients": [{"name": "me", "key": "k", "routes": ["code*"]}], "admin_key": "a"}
    async with api({"auth": auth}) as a:
        _, answer = await a.post(PATHS[0], {**CHAT, "model": "codex"}, x_api_key="k")
        assert "coder" in answer["error"]["message"]
        assert "sunny" not in answer["error"]["message"]


async def test_the_trace_of_the_caller_goes_on_and_else_begins_here() -> None:
    async with api() as a:
        caller = f"00-{'a' * 32}-{'b' * 16}-01"
        for value in (caller, "00-0-0-0", ""):
            await a.post(PATHS[0], CHAT, traceparent=value)
        first, second, third = await a.finished()
        assert (first.trace_id, first.parent_span_id) == ("a" * 32, "b" * 16)
        assert (second.parent_span_id, third.parent_span_id) == ("", "")
        assert len({first.trace_id, second.trace_id, third.trace_id}) == 3


async def test_a_body_over_the_limit_is_refused_by_its_size() -> None:
    async with api({"server": {"max_body_bytes": 1000}}) as a:
        status, answer = await a.post(PATHS[0], {**CHAT, "x": "y" * 2000})
        assert (status, answer["error"]["code"]) == (413, "body_too_large")
        assert "1000 bytes (`server.max_body_bytes`)" in answer["error"]["message"]


async def test_a_client_that_leaves_while_it_sends_leaves_no_trouble() -> None:
    async with api() as a:
        _, _, port = a.url.rpartition(":")
        _, writer = await asyncio.open_connection("127.0.0.1", int(port))
        head = f"POST {PATHS[0]} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n"
        writer.write(head.encode() + b'{"model": ')
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()
        await answers(a)
        assert a.context.internal_errors == 0


async def answers(a: Api) -> None:
    assert (await a.post(PATHS[0], CHAT))[0] == 200
