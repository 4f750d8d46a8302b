"""N23: a 200 is a success only if it brings an answer.

An error inside a 200 that names a limit or a dead key keeps that class, since it says more than
`bad_success` does; the scenario's seven say nothing of the kind.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.gateways import ANTHROPIC_PATH, OPENAI_PATH, gateway
from tests.upstream import Answer, ScriptedUpstream, empty, html

NO_HOLD = "{cooldown_min_seconds: 0, cooldown_multiplier: 0, breaker_failures: 99, breaker_min_outcomes: 99}"
"""So that the primary is asked each time."""

ERROR_FIRST = b'data: {"error": {"message": "Something went wrong.", "type": "server_error"}}\n\n'
DRESSED = {
    "empty_body": (False, empty()),
    "blank": (False, Answer(body=b" \n\t ")),
    "html": (False, html()),
    "json_error": (False, Answer(json={"error": {"message": "Oops.", "type": "server_error"}})),
    "no_choices": (False, Answer(json={"id": "x", "object": "chat.completion", "choices": []})),
    "closed_at_once": (True, Answer(chunks=(b"",), content_type="text/event-stream")),
    "error_event": (True, Answer(chunks=(ERROR_FIRST,), content_type="text/event-stream")),
}


def config(a: ScriptedUpstream, b: ScriptedUpstream, *, dialect: str = "openai") -> str:
    urls = [each.openai_url if dialect == "openai" else each.url for each in (a, b)]
    return f"""
    providers:
      a: {{dialect: {dialect}, base_url: {urls[0]}, credentials: [{{name: one, key: k-a}}]}}
      b: {{dialect: {dialect}, base_url: {urls[1]}, credentials: [{{name: one, key: k-b}}]}}
    routes:
      - {{name: coder, targets: [a/model-a, b/model-b]}}
    stability: {NO_HOLD}
    """


async def test_seven_dressed_failures_are_told_as_such_and_served_by_the_fallback(
    tmp_path: Path,
) -> None:
    async with (
        ScriptedUpstream() as a,
        ScriptedUpstream() as b,
        gateway(tmp_path, config(a, b)) as g,
    ):
        for name, (stream, answer) in DRESSED.items():
            a.plan(answer)
            got = await g.client.chat(stream=stream)
            assert (got.status, got.provider) == (200, "b"), name
            assert got.headers["x-evenkeel-fallback-reason"] == "bad_success", name
        assert (len(a.hits), len(b.hits)) == (7, 7)
        rows = await g.client.all("attempts", provider="a")
        assert [(row["outcome"], row["failure"], row["status"]) for row in rows] == [
            ("failed", "bad_success", 200)
        ] * 7
        assert all(row["reason"] for row in rows)
        assert len({row["reason"] for row in rows}) >= 5
        await g.settled()
        series = await g.client.metrics()
        assert series.total("evenkeel_attempts_total", provider="a", outcome="ok") == 0
        assert series.total("evenkeel_attempts_total", provider="a", failure="bad_success") == 7
        assert series.total("evenkeel_requests_total", outcome="ok") == 7


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (
            Answer(json={"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}),
            "rate_limited",
        ),
        (Answer(json={"error": {"message": "No.", "code": "invalid_api_key"}}), "auth"),
        (
            Answer(json={"error": {"message": "No.", "code": "insufficient_quota"}}),
            "quota_exhausted",
        ),
    ],
)
async def test_an_error_in_a_200_that_names_its_class_is_believed(
    tmp_path: Path, answer: Answer, failure: str
) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(answer)
        async with gateway(tmp_path, config(a, b)) as g:
            got = await g.client.chat()
            assert (got.status, got.provider) == (200, "b")
            [row] = await g.client.all("attempts", provider="a")
            assert (row["failure"], row["status"]) == (failure, 200)


async def test_a_stream_of_pings_and_a_role_alone_is_no_answer(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        for path, dialect in ((OPENAI_PATH, "openai"), (ANTHROPIC_PATH, "anthropic")):
            folder = tmp_path / dialect
            folder.mkdir()
            a.plan(Answer(end_after=0))
            async with gateway(folder, config(a, b, dialect=dialect)) as g:
                got = await g.client.ask(path, "coder", stream=True)
                assert (got.status, got.provider) == (200, "b")
                [row] = await g.client.all("attempts", provider="a")
                assert (row["failure"], row["bytes_sent"]) == ("bad_success", 0)
