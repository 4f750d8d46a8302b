"""N15: a stream that fails before content is replaced unseen; after content it ends well-formed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.gateways import ANTHROPIC_PATH, OPENAI_PATH, Got, gateway
from tests.upstream import Answer, ScriptedUpstream, openai_error

WORDS = ("One", " two", " three")
BOTH = pytest.mark.parametrize("path", [OPENAI_PATH, ANTHROPIC_PATH])
ENDS = {OPENAI_PATH: b"data: [DONE]", ANTHROPIC_PATH: b"event: message_stop"}

ERROR_EVENTS = {OPENAI_PATH: b'data: {"error"', ANTHROPIC_PATH: b"event: error"}


def config(a: ScriptedUpstream, b: ScriptedUpstream, path: str) -> str:
    dialect = "openai" if path == OPENAI_PATH else "anthropic"
    at_a, at_b = (each.openai_url if path == OPENAI_PATH else each.url for each in (a, b))
    return f"""
    providers:
      a: {{dialect: {dialect}, base_url: {at_a}, credentials: [{{name: one, key: k-a}}]}}
      b: {{dialect: {dialect}, base_url: {at_b}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/m, b/m]}}
    """


def frames(got: Got) -> list[Any]:
    """The data of every event, the terminal marker left out."""
    lines = got.body.decode().splitlines()
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(each) for each in data if each != "[DONE]"]


def said(got: Got) -> str:
    texts = []
    for frame in frames(got):
        choices = frame.get("choices") or []
        texts += [choice["delta"].get("content") or "" for choice in choices]
        texts.append((frame.get("delta") or {}).get("text") or "")
    return "".join(texts)


@BOTH
async def test_an_error_before_content_is_replaced_by_the_fallback_s_whole_stream(
    tmp_path: Path, path: str
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(Answer(error_after=0, text=("never",), model="of-a"))
        b.default = Answer(text=WORDS)
        async with gateway(tmp_path, config(a, b, path)) as g:
            got = await g.client.ask(path, "coder", stream=True)
            assert (got.status, got.provider) == (200, "b")
            assert said(got) == "One two three"
            assert b"rror" not in got.body
            assert b"of-a" not in got.body
            assert got.body.count(ENDS[path]) == 1


@BOTH
async def test_a_break_after_content_ends_in_one_error_event_and_nobody_else_s_text(
    tmp_path: Path, path: str
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(Answer(text=(*WORDS, " four"), cut_after=3))
        b.default = Answer(text=("Not", " this."))
        async with gateway(tmp_path, config(a, b, path)) as g:
            got = await g.client.ask(path, "coder", stream=True)
            assert (got.status, got.provider) == (200, "a")
            assert said(got) == "One two three"
            [error] = [frame for frame in frames(got) if frame.get("error")]
            assert error == frames(got)[-1]
            shown = error["error"]
            assert got.request_id in (shown.get("request_id"), error.get("request_id"))
            assert ENDS[path] not in got.body
            assert not b.hits

            [row] = (await g.client.story(got))["candidates"]
            assert (row["outcome"], row["failure"]) == ("failed", "stream_broken")
            assert row["bytes_sent"] == got.body.index(ERROR_EVENTS[path])
            assert row["output_tokens"] == 3
            # It counts against the target: new requests go to the fallback.
            assert (await g.client.ask(path, "coder")).provider == "b"


@BOTH
async def test_a_client_that_wants_no_fallback_gets_the_first_target_s_error(
    tmp_path: Path, path: str
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(Answer(error_after=0))
        async with gateway(tmp_path, config(a, b, path)) as g:
            got = await g.client.ask(path, "coder", stream=True, x_evenkeel_no_fallback="1")
            assert got.status == 503
            assert got.json["error"]["message"].startswith("Overloaded")
            assert (len(a.hits), len(b.hits)) == (1, 0)
            story = await g.client.story(got)
            assert [(each["target"], each["outcome"]) for each in story["candidates"]] == [
                ("a/m", "failed"),
                ("b/m", "skipped"),
            ]
            assert story["candidates"][1]["cause"] == "no_fallback"


async def test_without_fallback_an_error_answer_comes_in_the_provider_s_own_words(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        answer = openai_error(
            429, "rate_limit_exceeded", "Slow down.", headers={"retry-after": "7"}
        )
        a.plan(answer)
        async with gateway(tmp_path, config(a, b, OPENAI_PATH)) as g:
            got = await g.client.chat(x_evenkeel_no_fallback="1")
            assert (got.status, got.json) == (429, answer.json)
            assert got.headers["retry-after"] == "7"
            assert not b.hits
            story = await g.client.story(got)
            assert story["request"]["outcome"] == "upstream_error"
