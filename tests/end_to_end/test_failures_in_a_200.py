"""A 200 that is no success: for every client's dialect, passed through and translated, streamed or not.

What the client gets, the rows, the metrics and the headers have to agree that it was none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.gateways import anthropic, gateway, gemini, openai, settings_of
from tests.upstream import Answer, Hit, ScriptedUpstream, empty, html

ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": (
        "/v1/chat/completions",
        {"model": "coder", "messages": [{"role": "user", "content": "Hi."}]},
    ),
    "responses": ("/v1/responses", {"model": "coder", "input": "Hi."}),
    "anthropic": (
        "/v1/messages",
        {"model": "coder", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi."}]},
    ),
    "gemini": (
        "/v1beta/models/coder:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]},
    ),
}
TARGETS = ("openai", "anthropic", "gemini")
FAILURES = {
    "truncated": Answer(end_after=1),
    "cut": Answer(cut_after=1),
    "empty": Answer(end_after=0),
    "nothing": empty(),
    "error_first": Answer(error_after=0),
    "error_late": Answer(error_after=1),
    "html": html(),
}
LATE = frozenset({"truncated", "cut", "error_late"})
WHOLE = (b"[DONE]", b"message_stop", b"response.completed", b'"finishReason"')


@pytest.mark.parametrize("client", ASKED)
async def test_a_200_that_is_no_success_is_none_anywhere(tmp_path: Path, client: str) -> None:
    """One target for each failure, so that no rest of one is in the way of the next."""
    path, body = ASKED[client]
    async with ScriptedUpstream() as upstream, gateway(tmp_path, _settings(upstream)) as g:
        upstream.decide = lambda hit: FAILURES[_named(hit)]
        for target in TARGETS:
            for name in FAILURES:
                model, where = f"{target}-{name}", (client, target, name)
                got = await g.client.post(
                    path.replace("coder", model), {**body, **_how(client, model)}
                )
                assert b"error" in got.body or b"response.failed" in got.body, where
                assert (got.status == 200) is (name in LATE), where
                assert not any(mark in got.body for mark in WHOLE), where
                if name in LATE:
                    as_is = "x-evenkeel-translated" not in got.headers
                    assert as_is is (client == target), where
                else:
                    assert got.status >= 500, where
                await g.settled()
                story = await g.client.story(got)
                expected = "upstream_error" if name in LATE else "exhausted"
                assert story["request"]["outcome"] == expected, where
                assert {each["outcome"] for each in story["candidates"]} == {"failed"}, where
        seen = await g.client.metrics()
        asked = len(TARGETS) * len(FAILURES)
        assert seen.total("evenkeel_requests_total") == asked
        assert seen.total("evenkeel_requests_total", outcome="ok") == 0
        assert seen.total("evenkeel_attempts_total", outcome="ok") == 0


def _how(client: str, model: str) -> dict[str, Any]:
    return {} if client == "gemini" else {"model": model, "stream": True}


def _named(hit: Hit) -> str:
    """The model is called what is to happen."""
    named = hit.path if "/models/" in hit.path else hit.json["model"]
    return next(name for name in FAILURES if f"m-{name}" in named)


def _settings(upstream: ScriptedUpstream) -> dict[str, Any]:
    """A provider for each dialect and failure: what rests is nobody else's."""
    made: dict[str, Any] = {}
    routes: dict[str, list[str]] = {}
    for target, of in zip(TARGETS, (openai, anthropic, gemini), strict=True):
        for name in FAILURES:
            made[f"{target}-{name}"] = of(upstream, "key-1")
            routes[f"{target}-{name}"] = [f"{target}-{name}/m-{name}"]
    return settings_of(made, {**routes}, stability={"max_attempts": 1})
