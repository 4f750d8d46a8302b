"""The operator's acts over HTTP: paths, bodies, keys, errors; what they do is tested in routing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.gateways import Served, Settings, gateway, settings_of

SIMULATED = {"dialect": "simulated", "simulated": {"first_token_seconds": 0}}
KEY = "sesame"
CLOCKS_APART = 1000
"""Microseconds: an end is kept on the monotonic clock and shown on the other."""


def settings(**more: Any) -> Settings:
    keys = {"credentials": [{"name": "one"}, {"name": "two"}]}
    providers = {"a": {**SIMULATED, **keys}, "b": {**SIMULATED, **keys}}
    routes = {"coder": ["a/x", "b/org/y z"], "team/one": ["b/org/y z", "a/x"]}
    return settings_of(providers, routes, **more)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with gateway(tmp_path, settings()) as up:
        yield up


async def act(served: Served, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    got = await served.client.post(f"/api/v1/{path}", {} if body is None else body, **headers)
    return got.status, got.json


async def route(served: Served, name: str) -> Any:
    status = await served.client.api("status")
    return next(each for each in status["routes"] if each["route"] == name)


async def test_a_drained_target_is_shown_so_and_serves_nothing_new(served: Served) -> None:
    status, told = await act(
        served, "targets/a/x/drain", {"note": "upgrade", "expires_seconds": 600}
    )
    assert status == 200
    (event,) = told["events"]
    assert event["kind"] == "operator_acted"
    assert (event["action"], event["target"], event["actor"], event["note"]) == (
        "drain",
        "a/x",
        "admin",
        "upgrade",
    )
    assert event["until"] == event["ts"] + 600_000_000
    first = (await route(served, "coder"))["targets"][0]
    assert first["state"] == "drained"
    assert abs(first["until"] - event["until"]) < CLOCKS_APART
    assert (await served.client.chat()).provider == "b"
    assert (await act(served, "targets/a/x/enable"))[0] == 200
    assert (await route(served, "coder"))["targets"][0]["state"] == "ready"


async def test_names_in_paths_may_hold_slashes_and_anything_else_encoded(served: Served) -> None:
    target = "b/org/y z"
    for path in ("targets/b/org/y%20z/drain", "targets/b/org%2Fy%20z/drain"):
        status, told = await act(served, path)
        assert (status, told["events"][0]["target"]) == (200, target)
    assert (await act(served, "targets/b/org/y%20z/enable"))[0] == 200
    status, told = await act(served, "routes/team%2Fone/pin", {"target": "a/x"})
    assert status == 200, told
    moved = told["events"][1]
    assert (moved["kind"], moved["from"], moved["to"], moved["switch"]) == (
        "switched",
        target,
        "a/x",
        "operator",
    )
    assert (await route(served, "team/one"))["pinned"] == "a/x"
    assert (await act(served, "routes/team%2Fone/unpin"))[0] == 200
    assert (await route(served, "team/one"))["active"] == target


async def test_a_rest_can_be_ended_by_a_reset(served: Served) -> None:
    assert (await act(served, "targets/a/x/rest"))[0] == 200
    (rest,) = (await served.client.api("status"))["cooldowns"]
    assert (rest["source"], rest["reason"]) == ("operator", "operator")
    assert rest["remaining_seconds"] == pytest.approx(3600, abs=30)
    status, told = await act(served, "cooldowns/reset", {"target": "a/x"})
    assert status == 200
    assert [event["kind"] for event in told["events"]] == ["operator_acted", "cooldown_ended"]
    assert (await served.client.api("status"))["cooldowns"] == []
    assert (await act(served, "cooldowns/reset", {"provider": "b", "credential": "one"}))[0] == 200
    assert (await act(served, "routes/coder/clear-penalty"))[0] == 200


async def test_an_act_without_a_body_is_one_with_an_empty_body(served: Served) -> None:
    got = await served.client.send("POST", "/api/v1/targets/a/x/enable")
    assert got.status == 200


async def test_who_acts_is_on_record_in_the_history(served: Served) -> None:
    await act(served, "targets/a/x/enable", {"note": "x" * 900}, x_evenkeel_actor="ada")
    await served.settled()
    (event,) = (await served.client.api("events", kind="operator_acted"))["items"]
    assert (event["actor"], event["action"], len(event["note"])) == ("ada", "enable", 500)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("targets/nobody/x/rest", {}, "there is no target 'nobody/x'"),
        ("routes/nobody/pin", {"target": "a/x"}, "there is no route 'nobody'"),
        ("routes/coder/pin", {"target": "a/other"}, "route 'coder' has no target 'a/other'"),
        ("cooldowns/reset", {"provider": "nobody"}, "there is no provider 'nobody'"),
        ("cooldowns/reset", {"credential": "nobody"}, "there is no credential 'nobody'"),
    ],
)
async def test_an_unknown_place_is_404_with_its_name(
    served: Served, path: str, body: Any, said: str
) -> None:
    status, told = await act(served, path, body)
    assert (status, told["error"]["code"]) == (404, "unknown_place")
    assert said in told["error"]["message"]
    await served.settled()
    assert (await served.client.api("events", kind="operator_acted"))["items"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("routes/coder/pin", {}),
        ("cooldowns/reset", b"{"),
        ("cooldowns/reset", b"[]"),
        ("cooldowns/reset", b"\xff"),
        ("cooldowns/reset", {"trget": "a/x"}),
        ("cooldowns/reset", {"target": 1}),
        ("targets/a/x/rest", {"expires_seconds": 0}),
        ("targets/a/x/rest", {"expires_seconds": -1}),
        ("targets/a/x/rest", {"expires_seconds": 1e300}),
        ("targets/a/x/rest", {"expires_seconds": "10m"}),
        ("targets/a/x/rest", b'{"expires_seconds": NaN}'),
    ],
)
async def test_a_wrong_body_is_400_and_does_nothing(served: Served, path: str, body: Any) -> None:
    status, told = await act(served, path, body)
    assert (status, told["error"]["code"]) == (400, "invalid_request")
    assert (await served.client.api("status"))["cooldowns"] == []


async def test_an_act_that_does_not_exist_is_404_and_none_is_done_by_looking(
    served: Served,
) -> None:
    assert (await act(served, "targets/a/x/sink"))[0] == 404
    assert (await act(served, "routes/coder/sink"))[0] == 404
    for path in ("cooldowns/reset", "targets/a/x/rest", "routes/coder/unpin", "reload"):
        assert (await served.client.get(f"/api/v1/{path}")).status == 405


async def test_only_the_admin_key_opens_the_door(tmp_path: Path) -> None:
    auth = {"admin_key": KEY, "clients": [{"name": "laptop", "key": "other"}]}
    async with gateway(tmp_path, settings(auth=auth), key="other") as served:
        for path in ("cooldowns/reset", "targets/a/x/rest", "routes/coder/unpin", "reload"):
            assert (await act(served, path))[0] == 401
        status, _ = await act(served, "targets/a/x/rest", {}, authorization=f"Bearer {KEY}")
        assert status == 200


async def test_a_page_of_another_site_cannot_act(served: Served) -> None:
    status, _ = await act(served, "cooldowns/reset", {}, origin="https://evil.example")
    assert status == 403
