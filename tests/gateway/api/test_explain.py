"""`/api/v1/explain` over HTTP; that it tells the truth is tested with the core."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.gateways import Served, gateway, openai, settings_of
from tests.upstream import Answer, ScriptedUpstream

LIMITED = Answer(status=429, headers={"retry-after": "600"}, json={"error": {"message": "No."}})


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture
async def served(tmp_path: Path, upstream: ScriptedUpstream) -> AsyncIterator[Served]:
    providers = {"a": openai(upstream, "one", "two"), "b": openai(upstream, "three")}
    async with gateway(tmp_path, settings_of(providers, {"coder": ["a/x", "b/y"]})) as up:
        yield up


async def explained(served: Served, **query: str | int) -> Any:
    return await served.client.api("explain", **query)


def view(found: Any) -> list[tuple[str, str, str, str]]:
    names = ("target", "credential", "state", "reason")
    return [tuple(each[name] for name in names) for each in found["candidates"]]


async def test_it_names_the_choice_and_every_candidate_with_its_reason(served: Served) -> None:
    found = await explained(served, model="coder")
    assert found["choice"] == {"target": "a/x", "credential": "one", "probe": False}
    assert (found["model"], found["route"], found["active"]) == ("coder", "coder", "a/x")
    assert found["wait_seconds"] is None
    assert view(found) == [
        ("a/x", "one", "ready", "chosen: pointer"),
        ("a/x", "two", "ready", "not_preferred"),
        ("b/y", "three", "ready", "not_preferred"),
    ]


async def test_it_sends_nothing_and_the_next_request_goes_where_it_said(
    served: Served, upstream: ScriptedUpstream
) -> None:
    upstream.plan(LIMITED, key="sk-one")
    await served.client.chat()
    hits = len(upstream.hits)
    found = await explained(served, model="coder")
    assert len(upstream.hits) == hits
    assert view(found)[0] == ("a/x", "one", "cooling", "cooling: rate_limited")
    assert found["candidates"][0]["ready_in_seconds"] == pytest.approx(600, abs=5)
    assert found["candidates"][0]["until"] > found["at"]
    got = await served.client.chat()
    assert (got.provider, got.headers["x-evenkeel-credential"]) == (
        found["choice"]["target"].partition("/")[0],
        found["choice"]["credential"],
    )


async def test_a_target_may_be_asked_about_by_name_and_nothing_is_kept_of_it(
    served: Served,
) -> None:
    found = await explained(served, model="b/some/model")
    assert (found["choice"]["target"], found["route"]) == ("b/some/model", "b/some/model")
    assert list(served.context.pool.direct_routes()) == []


async def test_a_session_is_explained_where_it_lives(served: Served) -> None:
    pin = {"target": "b/y"}
    await served.client.post("/api/v1/routes/coder/pin", pin)
    await served.client.chat(x_evenkeel_session="s1")
    await served.client.post("/api/v1/routes/coder/unpin", {})
    found = await explained(served, model="coder", session="s1")
    assert view(found)[2] == ("b/y", "three", "ready", "chosen: session")
    other = await explained(served, model="coder", session="s1", client="somebody else")
    assert other["choice"]["target"] == "a/x"


async def test_a_dialect_that_is_translated_is_no_reason(served: Served) -> None:
    found = await explained(served, model="coder", dialect="anthropic")
    assert found["choice"]["target"] == "a/x"
    assert "dialect" not in {reason for *_, reason in view(found)}


async def test_an_unknown_name_is_404_with_the_nearest_known_one(served: Served) -> None:
    got = await served.client.get("/api/v1/explain?model=codr")
    assert got.status == 404
    assert "Did you mean coder" in got.json["error"]["message"]


@pytest.mark.parametrize(
    "query", ["", "model=", "model=coder&dialect=klingon", "model=coder&body_tokens=many"]
)
async def test_a_wrong_question_is_400(served: Served, query: str) -> None:
    got = await served.client.get(f"/api/v1/explain?{query}")
    assert (got.status, got.json["error"]["code"]) == (400, "invalid_query")
