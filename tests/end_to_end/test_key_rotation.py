"""Three keys: the first is limited, the second refused, the third serves; all of it is on record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.units import MICROS
from tests.end_to_end.gateways import (
    ANTHROPIC_PATH,
    OPENAI_PATH,
    anthropic,
    gateway,
    openai,
    settings_of,
)
from tests.upstream import Answer, ScriptedUpstream

REST_SECONDS = 2
KEYS = ("one", "two", "three")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [OPENAI_PATH, ANTHROPIC_PATH])
async def test_a_limited_and_a_refused_key_are_passed_over_and_remembered(
    tmp_path: Path, path: str, *, stream: bool
) -> None:
    at = openai if path == OPENAI_PATH else anthropic
    async with ScriptedUpstream() as a, ScriptedUpstream() as b:
        a.plan(
            Answer(status=429, headers={"retry-after": str(REST_SECONDS)}, json={}), key="sk-one"
        )
        a.plan(Answer(status=401, json={"error": {"message": "Who are you?"}}), key="sk-two")
        settings = settings_of({"a": at(a, *KEYS), "b": at(b)}, {"coder": ["a/m", "b/m"]})
        async with gateway(tmp_path, settings) as g:
            got = await g.client.ask(path, "coder", stream=stream)
            assert (got.status, got.provider) == (200, "a")
            assert got.headers["x-evenkeel-credential"] == "three"
            assert got.headers["x-evenkeel-attempts"] == "3"
            assert "x-evenkeel-fallback-from" not in got.headers
            assert [hit.key for hit in a.hits] == ["sk-one", "sk-two", "sk-three"]

            story = await g.client.story(got)
            assert story["request"]["outcome"] == "ok"
            assert story["request"]["failure"] == "rate_limited"
            assert [
                (each["n"], each["credential"], each["outcome"], each["failure"], each["status"])
                for each in story["candidates"]
            ] == [
                (1, "one", "failed", "rate_limited", 429),
                (2, "two", "failed", "auth", 401),
                (3, "three", "ok", None, 200),
            ]
            assert [len(each["cooldowns"]) for each in story["candidates"]] == [1, 1, 0]

            resting_as_told(await g.client.api("status"))
            cooldowns = {each["cooldown_id"]: each for each in await g.client.all("cooldowns")}
            for each in story["candidates"][:2]:
                [cooldown] = each["cooldowns"]
                assert cooldowns[cooldown]["trigger_attempt_id"] == each["attempt_id"]

            for _ in range(5):
                assert (await g.client.ask(path, "coder", stream=stream)).status == 200
            assert a.hits_by_key() == {"sk-one": 1, "sk-two": 1, "sk-three": 6}
            assert not b.hits

            series = await g.client.metrics()
            assert series.by("evenkeel_rotations_total", "provider", "reason") == {
                ("a", "rate_limited"): 1,
                ("a", "auth"): 1,
            }
            await g.client.until("status", lambda found: len(found["cooldowns"]) == 1)
            got = await g.client.ask(path, "coder", stream=stream)
            assert got.headers["x-evenkeel-credential"] == "one"  # The rest is over: it is tested.
            assert a.hits_by_key() == {"sk-one": 2, "sk-two": 1, "sk-three": 6}


def resting_as_told(status: dict[str, Any]) -> None:
    """The first key for the time that was stated, the second one by our own guess."""
    rests = {each["credential"]: each for each in status["cooldowns"]}
    assert {
        name: (each["scope"], each["source"], each["reason"]) for name, each in rests.items()
    } == {
        "one": ("credential_model", "stated", "rate_limited"),
        "two": ("credential", "ladder", "auth"),
    }
    stated = (rests["one"]["until"] - rests["one"]["started"]) / MICROS
    assert REST_SECONDS <= stated <= 1.1 * REST_SECONDS + 0.01
    for name in ("one", "two"):
        assert status["now"] < rests[name]["until"]
        assert rests[name]["remaining_seconds"] > 0


async def test_when_every_key_is_limited_the_answer_says_when_to_come_back(tmp_path: Path) -> None:
    async with ScriptedUpstream() as a:
        a.default = Answer(status=429, headers={"retry-after": "20"}, json={})
        settings = settings_of({"a": openai(a, *KEYS)}, {"coder": ["a/m"]})
        async with gateway(tmp_path, settings) as g:
            first = await g.client.chat()
            again = await g.client.chat()
            assert (first.status, again.status) == (429, 429)
            assert 19 <= int(again.headers["retry-after"]) <= 23
            assert "x-should-retry" not in again.headers
            targets = again.json["error"]["targets"]
            assert {(each["target"], each["reason"]) for each in targets} == {
                ("a/m", "rate_limited")
            }
            assert len(a.hits) == 3
            story = await g.client.story(again)
            assert {each["outcome"] for each in story["candidates"]} == {"skipped"}
            assert story["request"]["outcome"] == "exhausted"
