"""Clients of every dialect are served by a provider that litellm speaks to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.gateways import Settings, gateway, settings_of
from tests.end_to_end.test_failures_in_a_200 import ASKED
from tests.upstream import Answer, ScriptedUpstream, openai_error

pytestmark = pytest.mark.filterwarnings("ignore")
"""litellm and what it loads warn of their own matters."""

SAID = b"upstream."
ENDINGS = {
    "openai": b"data: [DONE]\n\n",
    "responses": b"response.completed",
    "anthropic": b"event: message_stop",
    "gemini": b'"finishReason":"STOP"',
}


def settings(upstream: ScriptedUpstream) -> Settings:
    provider = {
        "dialect": "litellm",
        "base_url": upstream.openai_url,
        "credentials": [{"name": "k", "key": "sk-key-1"}],
    }
    return settings_of({"l": provider}, {"coder": ["l/openai/m"]})


async def test_every_client_gets_its_own_dialect(tmp_path: Path) -> None:
    async with ScriptedUpstream() as upstream, gateway(tmp_path, settings(upstream)) as g:
        for client, (path, body) in ASKED.items():
            more = {} if client == "gemini" else {"stream": True}
            got = await g.client.post(path, {**body, **more})
            assert (got.status, got.headers["x-evenkeel-provider"]) == (200, "l"), client
            assert SAID in got.body, client
            assert ENDINGS[client] in got.body, client
            whole = path.replace("streamGenerateContent?alt=sse", "generateContent")
            got = await g.client.post(whole, body)
            assert (got.status, b"Hello from upstream." in got.body) == (200, True), client
        await g.settled()
        rows = await g.client.all("requests")
        assert {row["outcome"] for row in rows} == {"ok"}
        assert {hit.key for hit in upstream.hits} == {"sk-key-1"}


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (openai_error(429, "rate_limit_exceeded", headers={"Retry-After": "7"}), "rate_limited"),
        (openai_error(401, "invalid_api_key"), "auth"),
        (openai_error(529, "overloaded"), "overloaded"),
        (openai_error(500, "server_error"), "server_error"),
        (Answer(end_after=1), "stream_broken"),
    ],
)
async def test_failures_are_classified_as_on_the_direct_path(
    tmp_path: Path, answer: Answer, failure: str
) -> None:
    path, body = ASKED["openai"]
    async with ScriptedUpstream() as upstream, gateway(tmp_path, settings(upstream)) as g:
        upstream.default = answer
        got = await g.client.post(path, {**body, "stream": True})
        await g.settled()
        story = await g.client.story(got)
        assert story["candidates"][0]["failure"] == failure
        assert story["request"]["outcome"] != "ok"
