"""N01: the fallback fires for every class of failure, all the way down the chain."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.end_to_end.gateways import gateway
from tests.upstream import Answer, ScriptedUpstream, empty, openai_error

FAILURES = {
    "quota_exhausted": openai_error(402, "payment_required", "Your balance is exhausted."),
    "rate_limited": openai_error(429, "rate_limit_exceeded"),
    "auth": openai_error(403, "forbidden"),
    "model_not_found": openai_error(404, "model_not_found", "The model 'm' does not exist."),
    "server_error": openai_error(500, "internal_error"),
    "overloaded": openai_error(503, "server_is_overloaded"),
    "overloaded_529": openai_error(529, "overloaded_error"),
    "first_content_timeout": Answer(hang=True),
    "bad_success": empty(),
}
"""What B answers, by the class it is recorded as."""


@pytest.fixture
def refusing() -> Iterator[str]:
    """An address at which every connection is refused, and nobody else listens meanwhile."""
    with closing(socket.socket()) as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failure", FAILURES)
async def test_the_last_of_four_serves_and_every_candidate_is_on_record(
    tmp_path: Path, refusing: str, failure: str, *, stream: bool
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, ScriptedUpstream() as d:
        text = f"""
        providers:
          a: {{dialect: openai, base_url: {a.openai_url}, credentials: [{{name: one, key: k-a}}]}}
          b:
            dialect: openai
            base_url: {b.openai_url}
            credentials: [{{name: one, key: k-b}}]
            timeouts: {{headers_seconds: 0.3, first_content_seconds: 0.3}}
          c: {{dialect: openai, base_url: "{refusing}", credentials: [{{name: one, key: k-c}}]}}
          d: {{dialect: openai, base_url: {d.openai_url}, credentials: [{{name: one, key: k-d}}]}}
        routes:
          - {{name: coder, targets: [a/m, b/m, c/m, d/m]}}
        """
        a.plan(openai_error(429, "rate_limit_exceeded", headers={"retry-after": "50"}))
        async with gateway(tmp_path, text) as g:
            assert (await g.client.chat()).provider == "b"  # From here on A is cooling.
            b.plan(FAILURES[failure])
            got = await g.client.chat(stream=stream)
            assert (got.status, got.provider) == (200, "d")
            # Skipping is no attempt.
            assert got.headers["x-evenkeel-attempts"] == "3"
            assert (len(a.hits), len(b.hits), len(d.hits)) == (1, 1 + 1, 1)
            story = await g.client.story(got)
            rows = [
                (each["target"], each["outcome"], each["failure"] or each["reason"])
                for each in story["candidates"]
            ]
            assert rows == [
                ("a/m", "skipped", "cooling"),
                ("b/m", "failed", failure.removesuffix("_529")),
                ("c/m", "failed", "connect"),
                ("d/m", "ok", ""),
            ]
            assert [each["n"] for each in story["candidates"]] == [1, 2, 3, 4]
