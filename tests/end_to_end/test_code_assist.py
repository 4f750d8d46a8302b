"""Two Code Assist accounts that stand in for each other, as the origin's gemini_cli and antigravity:
the compatibility map pairs them, under other model names where these differ."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.gateways import Got, Served, gateway, settings_of
from tests.gateway.upstream.accounts import TokenEndpoint, enveloped, events
from tests.upstream import Answer, Hit, ScriptedUpstream

ASKED = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
FALLBACK = {
    "compatible": {"gemini_cli": ["antigravity"], "antigravity": ["gemini_cli"]},
    "model_names": {"gemini_cli/gemini-3-pro": "antigravity/gemini-3-pro-high"},
}
NO_CAPACITY = {
    "error": {
        "code": 503,
        "status": "UNAVAILABLE",
        "message": "No capacity available for model gemini-3-pro.",
    }
}


@dataclass
class Pair:
    served: Served
    cli: TokenEndpoint
    other: TokenEndpoint

    async def ask(self, model: str, *, stream: bool = False) -> Got:
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return await self.served.client.post(f"/v1beta/models/{model}:{method}", ASKED)


def says(text: str) -> Any:
    def decide(hit: Hit) -> Answer:
        if hit.path.endswith(":streamGenerateContent"):
            frames = events(enveloped(text[:4]), enveloped(text[4:]))
            return Answer(chunks=frames, content_type="text/event-stream")
        if hit.path.endswith(":countTokens"):
            return Answer(json={"totalTokens": 7})
        return Answer(json=enveloped(text))

    return decide


def provider(endpoint: TokenEndpoint, **values: Any) -> dict[str, Any]:
    oauth = {
        "client_id": "client-1",
        "client_secret": "client-secret-1",
        "refresh_token": "refresh-token-1",
        "token_url": f"{endpoint.upstream.url}/token",
        "project": "project-1",
        **values,
    }
    return {
        "dialect": "code_assist",
        "base_url": f"{endpoint.upstream.url}/v1internal",
        "credentials": [{"name": "mine", "oauth": oauth}],
    }


@asynccontextmanager
async def pair(folder: Path, **settings: Any) -> AsyncIterator[Pair]:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        cli, other = TokenEndpoint(a), TokenEndpoint(b)
        cli.decide, other.decide = says("from the first"), says("from the second")
        providers = {"gemini_cli": provider(cli), "antigravity": provider(other)}
        made = settings_of(providers, fallback=FALLBACK, **settings)
        async with gateway(folder, made) as served:
            yield Pair(served, cli, other)


def calls(endpoint: TokenEndpoint) -> list[Hit]:
    return [hit for hit in endpoint.upstream.hits if hit.path != "/token"]


def texts(got: Got, *, stream: bool) -> str:
    frames = got.body.split(b"\n\n") if stream else [b"data: " + got.body]
    said = [json.loads(each.removeprefix(b"data: ")) for each in frames if each]
    parts = [each["candidates"][0]["content"]["parts"] for each in said]
    return "".join(part["text"] for some in parts for part in some)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_gets_gemini_s_own_answer(tmp_path: Path, *, stream: bool) -> None:
    async with pair(tmp_path) as p:
        got = await p.ask("gemini_cli/gemini-3-pro", stream=stream)
        assert (got.status, got.provider) == (200, "gemini_cli")
        assert texts(got, stream=stream) == "from the first"
        assert b'"response"' not in got.body
        [hit] = calls(p.cli)
        assert hit.json["model"] == "gemini-3-pro"
        assert hit.json["request"]["contents"] == ASKED["contents"]
        await p.served.settled()
        [row] = await p.served.client.all("attempts")
        assert (row["outcome"], row["input_tokens"], row["output_tokens"]) == ("ok", 11, 7)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("asked", "served_by", "model"),
    [
        ("gemini_cli/gemini-3-pro", "antigravity", "gemini-3-pro-high"),
        ("antigravity/gemini-3-pro-high", "gemini_cli", "gemini-3-pro"),
        ("gemini_cli/gemini-3-flash", "antigravity", "gemini-3-flash"),
    ],
)
async def test_each_serves_in_the_other_s_place_until_its_cooldown_is_over(
    tmp_path: Path, asked: str, served_by: str, model: str, *, stream: bool
) -> None:
    async with pair(tmp_path) as p:
        down, up = (p.cli, p.other) if served_by == "antigravity" else (p.other, p.cli)
        down.decide = lambda hit: Answer(status=503, json=NO_CAPACITY)
        first = await p.ask(asked, stream=stream)
        assert (first.status, first.provider) == (200, served_by), first.body
        assert first.headers["x-evenkeel-model"] == model
        assert first.headers["x-evenkeel-fallback-from"] == asked
        assert first.headers["x-evenkeel-fallback-reason"] == "overloaded"
        tried = len(calls(down))
        for _ in range(3):
            again = await p.ask(asked, stream=stream)
            assert (again.status, again.provider) == (200, served_by)
            assert again.headers["x-evenkeel-attempts"] == "1"
        assert len(calls(down)) == tried
        assert {hit.json["model"] for hit in calls(up)} == {model}
        await p.served.settled()
        [cooldown] = [
            row for row in await p.served.client.all("cooldowns") if row["target"] == asked
        ]
        assert cooldown["reason"] == "overloaded"


async def test_a_dead_account_is_left_for_the_other_provider(tmp_path: Path) -> None:
    async with pair(tmp_path) as p:
        p.cli.answer = Answer(status=400, json={"error": "invalid_grant"})
        got = await p.ask("gemini_cli/gemini-3-pro")
        assert (got.status, got.provider) == (200, "antigravity")
        assert got.headers["x-evenkeel-fallback-reason"] == "auth"
        assert not calls(p.cli)
        story = await p.served.client.story(got)
        assert story["candidates"][0]["failure"] == "auth"
        assert story["candidates"][0]["reason"] == "invalid_grant"
        await p.ask("gemini_cli/gemini-3-pro")
        assert p.cli.asked == 1


async def test_a_token_endpoint_that_is_down_is_no_account_s_fault(tmp_path: Path) -> None:
    async with pair(tmp_path) as p:
        p.cli.answer = Answer(status=503, json={})
        got = await p.ask("gemini_cli/gemini-3-pro")
        assert (got.status, got.provider) == (200, "antigravity")
        story = await p.served.client.story(got)
        assert story["candidates"][0]["failure"] == "connect"
        assert story["candidates"][0]["reason"] == "token_endpoint"
        await p.served.settled()
        scopes = {row["scope"] for row in await p.served.client.all("cooldowns")}
        assert "credential" not in scopes


async def test_tokens_are_counted_and_embeddings_are_not_offered(tmp_path: Path) -> None:
    async with pair(tmp_path) as p:
        counted = await p.served.client.post(
            "/v1beta/models/gemini_cli/gemini-3-pro:countTokens", ASKED
        )
        assert (counted.status, counted.json) == (200, {"totalTokens": 7})
        refused = await p.served.client.post(
            "/v1beta/models/gemini_cli/gemini-3-pro:embedContent", {"content": {"parts": []}}
        )
        assert refused.status == 400, refused.body
        assert b"no target could answer" in refused.body
        assert {hit.path for hit in calls(p.cli)} == {"/v1internal:countTokens"}
        after = await p.ask("gemini_cli/gemini-3-pro")
        assert (after.status, after.provider) == (200, "gemini_cli")


async def test_no_secret_of_an_account_is_shown(tmp_path: Path) -> None:
    async with pair(tmp_path) as p:
        echo = {"error": {"code": 500, "message": "Failed for access-1 of refresh-token-1."}}
        p.cli.decide = lambda hit: Answer(status=500, json=echo)
        got = await p.ask("gemini_cli/gemini-3-pro")
        await p.served.settled()
        shown = got.body.decode() + json.dumps(dict(got.headers))
        for path in ("config", "status", "requests", "attempts", "events", "cooldowns"):
            shown += json.dumps(await p.served.client.api(path))
        shown += (await p.served.client.get("/metrics")).body.decode()
        shown += (tmp_path / "evenkeel.db").read_bytes().decode("latin-1")
        assert "client-1" in shown
        assert not [secret for secret in ("client-secret-1", "access-1") if secret in shown]


async def test_a_chat_client_is_served_by_translation(tmp_path: Path) -> None:
    async with pair(tmp_path) as p:
        for stream in (False, True):
            got = await p.served.client.chat("gemini_cli/gemini-3-pro", stream=stream)
            assert (got.status, got.provider) == (200, "gemini_cli"), got.body
            assert b"from" in got.body
        assert [hit.path.rpartition(":")[2] for hit in calls(p.cli)] == [
            "generateContent",
            "streamGenerateContent",
        ]
