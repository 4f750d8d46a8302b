"""Reading the configuration again while the gateway serves, and starting where another stopped."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import config_file
from gateway.app import demo_config, running
from gateway.app_reload import DEMO_KEEPS, changed
from tests.end_to_end.gateways import (
    FILE,
    Client,
    Served,
    Settings,
    client_of,
    gateway,
    openai,
    program,
    settings_of,
    until,
    write,
)
from tests.upstream import Answer, ScriptedUpstream

DOWN = Answer(status=503, json={"error": {"message": "Down."}})
LIMITED = Answer(status=429, headers={"retry-after": "600"}, json={"error": {"message": "No."}})
CLOCKS_APART = 100_000
"""Microseconds: an end is kept on one clock, stored on the other, and read back."""
SIMULATED = {"dialect": "simulated", "simulated": {"first_token_seconds": 0}}


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream() as upstream:
        yield upstream


def usual(upstream: ScriptedUpstream, *targets: str, **more: Any) -> Settings:
    providers = {
        "a": openai(upstream, "one", "two"),
        "b": openai(upstream, "three"),
        "c": openai(upstream, "four"),
    }
    return settings_of(providers, {"coder": targets or ("a/x", "b/y")}, **more)


async def reload(client: Client) -> tuple[int, Any]:
    got = await client.post("/api/v1/reload", {"note": "why"}, x_evenkeel_actor="ada")
    return got.status, got.json


async def stale(served: Served) -> float:
    return (await served.client.metrics()).total("evenkeel_config_stale")


# -- taken on ------------------------------------------------------------------------------------


async def test_a_reload_takes_on_what_changed_and_keeps_the_state_of_the_rest(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    async with gateway(tmp_path, usual(upstream)) as served:
        upstream.plan(LIMITED, key="sk-one")
        await served.client.chat()
        before = await served.client.api("status")
        write(tmp_path, usual(upstream, "a/x", "c/z"))
        status, told = await reload(served.client)
        assert (status, told["changes"]) == (200, ["routes[0].targets[1].target"])
        after = await served.client.api("status")
        assert after["config_version"] == told["config_version"] != before["config_version"]
        assert [rest["cooldown_id"] for rest in after["cooldowns"]] == [
            rest["cooldown_id"] for rest in before["cooldowns"]
        ]
        assert [each["target"] for each in after["routes"][0]["targets"]] == ["a/x", "c/z"]
        await served.settled()
        kinds = "operator_acted,config_reloaded"
        items = (await served.client.api("events", kind=kinds, order="asc"))["items"]
        assert [(each["kind"], each.get("actor"), each.get("note")) for each in items] == [
            ("operator_acted", "ada", "why"),
            ("config_reloaded", None, None),
        ]
        assert items[1]["changes"] == ["routes[0].targets[1].target"]
        metrics = await served.client.metrics()
        assert metrics.by("evenkeel_route_active", "route", "target") == {("coder", "a/x"): 1}
        assert metrics.total("evenkeel_target_state", target="b/y") == 0
        assert (await served.client.api("config"))["version"] == told["config_version"]


async def test_a_request_under_way_ends_as_it_began(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    gate = asyncio.Event()
    async with gateway(tmp_path, usual(upstream)) as served, asyncio.TaskGroup() as group:
        upstream.plan(Answer(before_content=gate))
        under_way = group.create_task(served.client.chat(stream=True))
        await until(lambda: len(upstream.hits) == 1)
        write(tmp_path, usual(upstream, "b/y"))
        assert (await reload(served.client))[0] == 200
        assert (await served.client.chat()).provider == "b"
        gate.set()
        got = await under_way
        assert (got.status, got.provider) == (200, "a")
        assert b"[DONE]" in got.body
        status = await served.client.api("status")
        assert {each["in_flight"] for each in status["providers"]} == {0}


async def test_a_changed_key_is_used_at_once_and_its_name_alone_is_told(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    settings = usual(upstream)
    async with gateway(tmp_path, settings) as served:
        upstream.plan(Answer(status=401), Answer(status=401), key="sk-one")
        await served.client.chat()
        settings["providers"]["a"]["credentials"][0]["key"] = "sk-new"
        write(tmp_path, settings)
        status, told = await reload(served.client)
        assert (status, told["changes"]) == (200, ["providers.a.credentials.one.key"])
        view = (await served.client.api("status"))["providers"][0]["credentials"]
        assert [(each["credential"], each["state"]) for each in view] == [
            ("one", "ready"),
            ("two", "ready"),
        ]
        upstream.plan(DOWN, key="sk-two")
        await served.client.chat()
        assert upstream.hits_by_key()["sk-new"] == 1


async def test_keys_of_clients_and_of_the_operator_are_exchanged(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    def auth(key: str) -> Settings:
        return {"admin_key": f"admin-{key}", "clients": [{"name": "laptop", "key": key}]}

    async with (
        gateway(tmp_path, usual(upstream, auth=auth("old")), key="old") as served,
        client_of(served.url, authorization="Bearer admin-old") as admin,
    ):
        assert (await served.client.chat()).status == 200
        write(tmp_path, usual(upstream, auth=auth("new")))
        status, told = await reload(admin)
        assert (status, told["changes"]) == (200, ["auth.clients[].key", "auth.admin_key"])
        assert (await served.client.chat()).status == 401
        assert (await admin.get("/api/v1/status")).status == 401
        assert (await served.client.chat(authorization="Bearer new")).status == 200


async def test_the_same_file_again_changes_nothing(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    async with gateway(tmp_path, usual(upstream)) as served:
        assert (await reload(served.client))[1]["changes"] == []


# -- refused -------------------------------------------------------------------------------------


async def test_a_broken_file_is_refused_with_every_problem_and_the_old_one_stays(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    async with gateway(tmp_path, usual(upstream)) as served:
        broken = usual(upstream, "a/x", "nobody/y", stability={"cooldwn_min_seconds": 1})
        write(tmp_path, broken)
        status, told = await reload(served.client)
        assert (status, told["error"]["code"]) == (422, "config_rejected")
        problems = "\n".join(told["error"]["problems"])
        assert "stability.cooldwn_min_seconds: unknown key" in problems
        assert "nobody" in problems
        assert await stale(served) == 1
        assert (await served.client.chat()).provider == "a"
        await served.settled()
        (event,) = (await served.client.api("events", kind="config_rejected"))["items"]
        assert event["problems"] == told["error"]["problems"]
        write(tmp_path, usual(upstream))
        assert (await reload(served.client))[0] == 200
        assert await stale(served) == 0


@pytest.mark.parametrize("text", ["", "providers: [", "\x00", "routes: 1"])
async def test_a_file_that_is_none_is_refused(
    tmp_path: Path, upstream: ScriptedUpstream, text: str
) -> None:
    async with gateway(tmp_path, usual(upstream)) as served:
        (tmp_path / FILE).write_text(text)
        status, told = await reload(served.client)
        assert (status, bool(told["error"]["problems"])) == (422, True)
        (tmp_path / FILE).unlink()
        status, told = await reload(served.client)
        assert status == 422
        assert "cannot be read" in told["error"]["problems"][0]
        assert (await served.client.chat()).status == 200


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"server": {"port": 9}}, "server.port: a change of it needs a restart"),
        ({"storage": {"url": "sqlite:///x.db"}}, "storage.url: a change of it needs a restart"),
        (
            {"telemetry": {"log_format": "json"}},
            "telemetry.log_format: a change of it needs a restart",
        ),
    ],
)
async def test_what_was_opened_at_the_start_cannot_change(
    tmp_path: Path, upstream: ScriptedUpstream, more: Settings, problem: str
) -> None:
    async with gateway(tmp_path, usual(upstream)) as served:
        write(tmp_path, usual(upstream, "b/y", **more))
        status, told = await reload(served.client)
        assert (status, told["error"]["problems"]) == (422, [problem])
        assert await stale(served) == 1
        assert (await served.client.chat()).provider == "a"


async def test_a_gateway_that_others_can_reach_cannot_lose_its_keys(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    auth = {"admin_key": "admin", "clients": [{"name": "laptop", "key": "old"}]}
    whole = usual(upstream, auth=auth)
    async with gateway(tmp_path, whole, key="admin", host="0.0.0.0") as served:
        local = served.url.replace("0.0.0.0", "127.0.0.1")
        async with client_of(local, authorization="Bearer admin") as admin:
            write(tmp_path, usual(upstream))
            status, told = await reload(admin)
            assert status == 422
            assert told["error"]["problems"] == [
                "server.host: '0.0.0.0' can be reached from other machines: set auth.clients and "
                "auth.admin_key, or listen on 127.0.0.1"
            ]
        async with client_of(local) as nobody:
            assert (await nobody.get("/api/v1/status")).status == 401


async def test_the_demo_has_nothing_to_read_again(tmp_path: Path) -> None:
    loaded = demo_config()
    storage = replace(loaded.config.storage, url=f"sqlite+aiosqlite:///{tmp_path}/demo.db")
    loaded = replace(loaded, config=replace(loaded.config, storage=storage))
    async with running(loaded, demo=True, port=0) as up, client_of(up.url) as client:
        status, told = await reload(client)
        assert (status, told["error"]["problems"]) == (422, [DEMO_KEEPS])
        assert (await client.api("status"))["demo"]


async def test_changes_are_named_and_never_quoted(tmp_path: Path) -> None:
    def loaded(text: str) -> config_file.Loaded:
        path = tmp_path / FILE
        path.write_text(text)
        return config_file.load(path, environ={}, cwd=tmp_path)

    old = loaded("providers: {openai: {credentials: [{name: k, key: sk-secret-one}]}}")
    new = loaded(
        """
        providers:
          openai: {credentials: [{name: k, key: sk-secret-two}], rotation: balanced}
          groq: {credentials: [{name: k, key: sk-secret-three}]}
        """
    )
    found = changed(old, new)
    assert {"providers.openai.rotation", "providers.openai.credentials.k.key"} <= set(found)
    assert [path for path in found if path.startswith("providers.groq")]
    assert "sk-secret" not in repr(found)
    assert changed(new, new) == []


# -- the process ---------------------------------------------------------------------------------


async def test_a_hangup_reads_the_file_again_and_a_faulty_one_does_not_end_the_process(
    tmp_path: Path,
) -> None:
    settings = settings_of({"a": SIMULATED, "b": SIMULATED}, {"coder": ["a/x"]}, server={"port": 0})
    write(tmp_path, settings)
    async with program(tmp_path, "serve") as it, client_of(await it.url()) as client:
        assert (await client.chat()).provider == "a"
        write(tmp_path, {**settings, "routes": [{"name": "coder", "targets": ["b/x"]}]})
        it.signal(signal.SIGHUP)
        await client.until("status", lambda status: status["routes"][0]["active"] == "b/x")
        assert (await client.chat()).provider == "b"
        write(tmp_path, "routes: [")
        it.signal(signal.SIGHUP)
        await client.until("events?kind=config_rejected", lambda page: page["items"])
        assert (await client.chat()).provider == "b"
        assert (await client.metrics()).total("evenkeel_config_stale") == 1


async def test_after_a_kill_holds_penalties_pins_drains_and_rests_are_there_and_shown(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    settings = usual(upstream, "a/x", "b/y", "c/z", server={"port": 0})
    settings["routes"].append({"name": "other", "targets": ["b/y", "c/z"]})
    write(tmp_path, settings)
    async with program(tmp_path, "serve") as first, client_of(await first.url()) as client:
        upstream.plan(DOWN, DOWN, key="sk-one")
        upstream.plan(DOWN, DOWN, key="sk-two")
        assert (await client.chat()).provider == "b"
        await client.post("/api/v1/targets/c/z/rest", {"expires_seconds": 900})
        await client.post("/api/v1/targets/a/x/drain", {})
        await client.post("/api/v1/routes/other/pin", {"target": "c/z", "expires_seconds": 900})
        before = await client.api("status")
        await client.until("switches", lambda page: len(page["items"]) == 2)
        await client.until("events?kind=operator_acted", lambda page: len(page["items"]) == 3)
        first.signal(signal.SIGKILL)
        await first.ended()
    async with program(tmp_path, "serve") as second, client_of(await second.url()) as client:
        after = await client.api("status")
        assert after["boot_id"] != before["boot_id"]
        kept = ("cooldown_id", "source", "route")
        assert [tuple(rest[name] for name in kept) for rest in after["cooldowns"]] == [
            tuple(rest[name] for name in kept) for rest in before["cooldowns"]
        ]
        for rest, told in zip(after["cooldowns"], before["cooldowns"], strict=True):
            assert abs(rest["until"] - told["until"]) < CLOCKS_APART
        coder, other = after["routes"]
        assert coder["active"] == "b/y"
        assert [each["state"] for each in coder["targets"]] == ["drained", "ready", "cooling"]
        assert coder["targets"][0]["penalty"] == pytest.approx(1000, rel=0.1)
        assert coder["dwell_seconds"] > before["routes"][0]["dwell_seconds"]
        assert (other["active"], other["pinned"]) == ("c/z", "c/z")
        pinned_until = before["routes"][1]["pinned_until"]
        assert abs(other["pinned_until"] - pinned_until) < CLOCKS_APART
        metrics = await client.metrics()
        assert metrics.by("evenkeel_route_active", "route", "target") == {
            ("coder", "b/y"): 1,
            ("other", "c/z"): 1,
        }
        assert metrics.total("evenkeel_flap_penalty", target="a/x") > 900
        ends = metrics.by("evenkeel_cooldown_until_timestamp_seconds", "target")
        assert set(ends) == {("a/x",), ("c/z",)}
        hits = len(upstream.hits)
        assert (await client.chat()).provider == "b"
        assert len(upstream.hits) == hits + 1
