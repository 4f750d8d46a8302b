"""Silence on a stream that has begun, as its client sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.gateways import anthropic, asked, gateway, gemini, openai, settings_of
from tests.upstream import Answer, ScriptedUpstream

CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
GEMINI = "/v1beta/models/gemini:streamGenerateContent"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
COMMENT = b": keep-alive\n\n"


@pytest.mark.parametrize(
    ("path", "frame"),
    [
        ("/v1/chat/completions", COMMENT),
        ("/v1/responses", COMMENT),
        ("/v1/messages", PING),
        (f"{GEMINI}?alt=sse", COMMENT),
        (GEMINI, b""),
    ],
)
async def test_silence_is_filled_in_the_dialect_and_changes_nothing_else(
    tmp_path: Path, path: str, frame: bytes
) -> None:
    async with ScriptedUpstream() as upstream:
        made = settings_of(
            {
                "o": openai(upstream, responses="native"),
                "a": anthropic(upstream),
                "g": gemini(upstream),
            },
            {"openai": ["o/m"], "anthropic": ["a/m"], "gemini": ["g/m"]},
            server={"keep_alive_seconds": 0.06},
        )
        model = "anthropic" if "messages" in path else "openai"
        body = (
            CONTENTS
            if "contents" in path.lower() or "gemini" in path
            else asked(path, model, stream=True)
        )
        if path == "/v1/responses":
            body = {"model": model, "input": "Hi", "stream": True}
        async with gateway(tmp_path, made) as g:
            upstream.plan(Answer(), Answer(between_chunks=0.3))
            quick = await g.client.post(path, body)
            slow = await g.client.post(path, body)
            assert quick.status == slow.status == 200
            if frame:
                assert frame not in quick.body.replace(PING, b"", 1)
                assert slow.body.count(frame) > quick.body.count(frame)
                assert slow.body.replace(frame, b"") == quick.body.replace(frame, b"")
            else:
                assert slow.body == quick.body


async def test_the_upstream_s_idle_clock_runs_on(tmp_path: Path) -> None:
    async with ScriptedUpstream() as upstream:
        upstream.default = Answer(hang_after=1)
        provider = openai(upstream, timeouts={"idle_seconds": 0.3})
        made = settings_of({"o": provider}, {"c": ["o/m"]}, server={"keep_alive_seconds": 0.06})
        async with gateway(tmp_path, made) as g:
            got = await g.client.chat("c", stream=True)
            assert COMMENT in got.body
            await g.settled()
            [row] = (await g.client.api("requests"))["items"]
            assert (row["outcome"], row["failure"]) == ("upstream_error", "idle_timeout")
