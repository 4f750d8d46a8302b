"""What crosses the gateway unchanged: every byte of a body, and every header but a few.

The same request is sent to the upstream directly and through the gateway; what the client gets and
what the upstream got are compared.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.end_to_end.gateways import (
    ANTHROPIC_PATH,
    OPENAI_PATH,
    anthropic,
    client_of,
    gateway,
    openai,
    settings_of,
)
from tests.upstream import Answer, ScriptedUpstream, openai_error

PATHS = [OPENAI_PATH, ANTHROPIC_PATH]
ODD_JSON = '{ "choices" :[{"message":{"content":"é\\u00e9 \\ud83d"}, "x":1.0}],\r\n "big":1e400 }  '
ODD_MESSAGE = '{"type":"message","content":[{"type":"text","text":"\\u00fc ü"}],"new":{"a":[]} }\n'


def settings_at(upstream: ScriptedUpstream, path: str, **more: Any) -> dict[str, Any]:
    at = openai if path == OPENAI_PATH else anthropic
    return settings_of({"a": at(upstream, "key-1")}, {"coder": ["a/model-a"]}, **more)


def frames(path: str, texts: list[str]) -> bytes:
    """A stream with all that SSE allows: comments, odd line ends, unknown events and fields."""
    if path == OPENAI_PATH:
        made = b": OPENROUTER PROCESSING\n\n"
        for n, text in enumerate(texts):
            delta = json.dumps({"choices": [{"delta": {"content": text}}], "n": n})
            end = "\r\n\r\n" if n % 3 == 0 else "\n\n"
            made += f"id: {n}\ndata:{delta}{end}".encode()
        return made + b'data: {"choices":[{"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    made = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
    for text in texts:
        delta = json.dumps({"type": "content_block_delta", "delta": {"text": text}})
        made += (
            f"event: content_block_delta\ndata: {delta}\n\nevent: new_kind\ndata: {{}}\n\n".encode()
        )
    return made + b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def divided(data: bytes, rng: Random) -> list[bytes]:
    """In chunks of any size, so that frames and characters are cut anywhere."""
    chunks = []
    while data:
        size = rng.choice((1, 3, 17, 64, 400))
        chunks.append(data[:size])
        data = data[size:]
    return chunks


@pytest.mark.parametrize("path", PATHS)
async def test_a_single_answer_is_the_same_bytes(tmp_path: Path, path: str) -> None:
    async with ScriptedUpstream() as a, gateway(tmp_path, settings_at(a, path)) as g:
        for body in ((ODD_JSON if path == OPENAI_PATH else ODD_MESSAGE).encode(), None):
            a.default = Answer(body=body)
            async with client_of(a.url) as direct:
                expected = await direct.ask(path, "model-a")
            got = await g.client.ask(path, "coder")
            assert (got.status, got.body) == (200, expected.body)
            assert got.headers["content-type"] == expected.headers["content-type"]
            assert int(got.headers["content-length"]) == len(expected.body)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("path", PATHS)
async def test_a_stream_is_the_same_bytes_however_it_is_cut(
    tmp_path: Path, path: str, seed: int
) -> None:
    rng = Random(seed)
    texts = [rng.choice(("Wort", "é⛵", "\n\n", '"', "data: x", "x" * 300)) for _ in range(20)]
    async with ScriptedUpstream() as a, gateway(tmp_path, settings_at(a, path)) as g:
        data = frames(path, texts)
        a.default = Answer(chunks=divided(data, rng), content_type="text/event-stream")
        async with client_of(a.url) as direct:
            expected = await direct.ask(path, "model-a", stream=True)
        got = await g.client.ask(path, "coder", stream=True)
        assert got.body == expected.body == data
        assert got.headers["content-type"] == "text/event-stream"
        assert got.headers["cache-control"] == "no-cache"
        assert (await g.client.story(got))["request"]["bytes_sent"] == len(data)


@pytest.mark.parametrize("path", PATHS)
async def test_of_a_request_s_body_only_the_model_changes(tmp_path: Path, path: str) -> None:
    body = '{ "stream":false,"messages" : [ {"role":"user"} ],"model": "coder" , "x":[1.0,"é\\/"]}'
    async with ScriptedUpstream() as a, gateway(tmp_path, settings_at(a, path)) as g:
        await g.client.post(path, body.encode())
        assert a.hits[0].body == body.replace('"coder"', '"model-a"').encode()


@pytest.mark.parametrize("form", ["authorization", "x_api_key"])
async def test_only_the_credential_and_the_caller_s_traces_are_replaced(
    tmp_path: Path, form: str
) -> None:
    auth = {"clients": [{"name": "me", "key": "client-key"}]}
    sent: dict[str, Any] = {
        form: "Bearer client-key" if form == "authorization" else "client-key",
        "anthropic_version": "2023-06-01",
        "anthropic_beta": "context-1m-2025-08-07,tools-2026-01-01",
        "content_type": "application/json",
        "accept": "application/json",
        "user_agent": "an-agent/1.2 (test)",
        "x_stainless_lang": "python",
        "x_new_header": "as it is",
        "x_evenkeel_session": "mine",
        "cookie": "sid=1",
        "x_forwarded_for": "192.0.2.1",
        "traceparent": f"00-{'1' * 32}-{'2' * 16}-01",
    }
    async with (
        ScriptedUpstream() as a,
        gateway(tmp_path, settings_at(a, ANTHROPIC_PATH, auth=auth)) as g,
    ):
        got = await g.client.ask(ANTHROPIC_PATH, "coder", **sent)
        assert got.status == 200
        headers = {name.lower(): value for name, value in a.hits[0].headers}
        kept = {
            "anthropic-version": sent["anthropic_version"],
            "anthropic-beta": sent["anthropic_beta"],
            "content-type": sent["content_type"],
            "accept": sent["accept"],
            "user-agent": sent["user_agent"],
            "x-stainless-lang": sent["x_stainless_lang"],
            "x-new-header": sent["x_new_header"],
        }
        own = {"x-api-key": "sk-key-1", "accept-encoding": "identity"}
        for name in ("host", "content-length"):
            del headers[name]
        assert headers == {**kept, **own}
        assert got.headers["traceparent"].startswith(f"00-{'1' * 32}-")
        request = (await g.client.story(got))["request"]
        assert (request["session"], request["client"]) == ("mine", "me")
        assert (request["trace_id"], request["parent_span_id"]) == ("1" * 32, "2" * 16)


async def test_a_provider_of_ones_own_is_told_of_the_trace(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a:
        settings = settings_at(a, ANTHROPIC_PATH)
        for provider in settings["providers"].values():
            provider["internal"] = True
        async with gateway(tmp_path, settings) as g:
            caller = f"00-{'1' * 32}-{'2' * 16}-01"
            got = await g.client.ask(ANTHROPIC_PATH, "coder", traceparent=caller)
            trace = a.hits[0].header("traceparent") or ""
            assert trace.startswith(f"00-{'1' * 32}-")
            assert "2" * 16 not in trace
            assert trace != got.headers["traceparent"]


async def test_a_newer_anthropic_version_gets_the_key_as_a_bearer_token(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, gateway(tmp_path, settings_at(a, ANTHROPIC_PATH)) as g:
        await g.client.ask(ANTHROPIC_PATH, "coder", anthropic_version="2026-10-21")
        await g.client.ask(ANTHROPIC_PATH, "coder")
        assert a.hits[0].header("authorization") == "Bearer sk-key-1"
        assert a.hits[0].header("x-api-key") is None
        assert a.hits[1].header("x-api-key") == "sk-key-1"
        assert a.hits[1].header("anthropic-version") == "2023-06-01"


async def test_a_provider_s_headers_reach_the_client_but_for_those_of_its_account(
    tmp_path: Path,
) -> None:
    async with ScriptedUpstream() as a, gateway(tmp_path, settings_at(a, OPENAI_PATH)) as g:
        a.default = Answer(
            headers={
                "x-request-id": "req_1",
                "openai-processing-ms": "12",
                "openai-organization": "org-of-the-operator",
                "x-ratelimit-remaining-requests": "3",
                "set-cookie": "a=b",
                "access-control-allow-origin": "*",
            }
        )
        got = await g.client.chat()
        assert got.headers["x-request-id"] == "req_1"
        assert got.headers["openai-processing-ms"] == "12"
        for name in a.default.headers:
            assert (name in got.headers) is (name in ("x-request-id", "openai-processing-ms"))
        [attempt] = (await g.client.story(got))["candidates"]
        assert attempt["upstream_request_id"] == "req_1"


async def test_a_request_s_query_passes_but_for_keys_in_it(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, gateway(tmp_path, settings_at(a, ANTHROPIC_PATH)) as g:
        body = {"model": "coder", "messages": [], "max_tokens": 1}
        await g.client.post(f"{ANTHROPIC_PATH}?beta=true&key=secret&x=%2Fa", body)
        assert a.hits[0].query == "beta=true&x=%2Fa"


async def test_a_provider_s_own_words_on_a_bad_request_pass(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, gateway(tmp_path, settings_at(a, OPENAI_PATH)) as g:
        a.default = openai_error(400, "invalid_value", "Must be < 2.", headers={"x-why": "range"})
        async with client_of(a.url) as direct:
            expected = await direct.chat("model-a")
        got = await g.client.chat()
        assert (got.status, got.body) == (400, expected.body)
        assert got.headers["x-why"] == "range"
        assert (await g.client.api("status"))["cooldowns"] == []
