"""Compressed bodies: of requests, and of answers that came compressed unasked."""

from __future__ import annotations

import gzip
import json
import resource
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
from backports import zstd

from tests.end_to_end.gateways import gateway, openai, settings_of
from tests.upstream import Answer, ScriptedUpstream

BODY = json.dumps({"model": "c", "messages": [{"role": "user", "content": "Grüße"}]}).encode()
UPSTREAM_BODY = BODY.replace(b'"c"', b'"m"')
ANSWER = json.dumps(
    {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "model": "m"}
).encode()
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
PATH = "/v1/chat/completions"
MEGABYTE = 1024 * 1024
GROWTH_BYTES_MAX = 96 * MEGABYTE
"""Far below what the bombs below would take."""


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_compressed_request_arrives_as_it_was_meant(tmp_path: Path, coding: str) -> None:
    async with ScriptedUpstream() as upstream:
        made = settings_of({"o": openai(upstream)}, {"c": ["o/m"]})
        async with gateway(tmp_path, made) as g:
            for name in (coding, coding.upper()):
                sent = CODINGS[coding](BODY)
                got = await g.client.post(PATH, sent, content_encoding=name)
                assert got.status == 200, got.body
                hit = upstream.hits[-1]
                assert (hit.body, hit.header("content-encoding")) == (UPSTREAM_BODY, None)
            for broken in (b"\xff" * 40, CODINGS[coding](BODY)[:12]):
                got = await g.client.post(PATH, broken, content_encoding=coding)
                assert got.status == 400, got.body
                if coding != "deflate":  # Its end is checked by the HTTP parser, in its own words.
                    assert got.json["error"]["code"] in ("invalid_body", "invalid_json")
            assert len(upstream.hits) == 2


@pytest.mark.parametrize("coding", ["gzip, br", "br, zstd", "compress", "x-gzip", "Käse"])
async def test_what_cannot_be_decoded_is_told_so(tmp_path: Path, coding: str) -> None:
    async with ScriptedUpstream() as upstream:
        made = settings_of({"o": openai(upstream)}, {"c": ["o/m"]})
        async with gateway(tmp_path, made) as g:
            got = await g.client.post(PATH, BODY, content_encoding=coding)
            assert (got.status, got.json["error"]["code"]) == (415, "unsupported_encoding")
            assert "gzip, deflate, br, zstd" in got.json["error"]["message"]
            assert (await g.client.post(PATH, BODY, content_encoding="identity")).status == 200
            assert len(upstream.hits) == 1


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_bomb_is_stopped_at_the_limit(tmp_path: Path, coding: str) -> None:
    bomb = CODINGS[coding](b" " * (256 * MEGABYTE))
    async with ScriptedUpstream() as upstream:
        made = settings_of(
            {"o": openai(upstream)}, {"c": ["o/m"]}, server={"max_body_bytes": MEGABYTE}
        )
        async with gateway(tmp_path, made) as g:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            got = await g.client.post(PATH, bomb, content_encoding=coding)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
            assert (got.status, got.json["error"]["code"]) == (413, "body_too_large")
            assert grown < GROWTH_BYTES_MAX
            assert not upstream.hits


@pytest.mark.parametrize("coding", CODINGS)
async def test_an_answer_that_comes_compressed_is_judged_and_handed_on_plain(
    tmp_path: Path, coding: str
) -> None:
    async with ScriptedUpstream() as upstream:
        made = settings_of({"o": openai(upstream)}, {"c": ["o/m"]})
        async with gateway(tmp_path, made) as g:
            headers = {"content-encoding": coding}
            upstream.plan(Answer(body=CODINGS[coding](ANSWER), headers=headers))
            upstream.default = Answer(body=CODINGS[coding](b"{}"), headers=headers)
            got = await g.client.post(PATH, BODY)
            assert (got.status, got.body) == (200, ANSWER)
            assert "content-encoding" not in got.headers
            assert (await g.client.post(PATH, BODY)).status >= 500
            assert upstream.hits[0].header("accept-encoding") == "identity"
