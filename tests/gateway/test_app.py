"""The composition root: what is opened is closed, in order, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.app import DEMO_DATABASE, Running, demo_config, running
from gateway.app_background import background
from gateway.config import Dialect
from gateway.config_file import Loaded, load
from gateway.events import ProcessStarted, ProcessStopped
from storage.database import open_database
from storage.queries import Queries
from tests.upstream import WAIT_SECONDS

SETTINGS: dict[str, Any] = {
    "providers": {
        "sunny": {
            "dialect": "simulated",
            "credentials": [{"name": "main"}],
            "simulated": {"first_token_seconds": 0, "tokens_per_second": 100_000},
        }
    },
    "routes": [{"name": "coder", "targets": ["sunny/large"]}],
}
CHAT = {"model": "coder", "messages": [{"role": "user", "content": "Hi"}]}


def loaded_in(folder: Path, **more: Any) -> Loaded:
    path = folder / "evenkeel.yaml"
    path.write_text(json.dumps({**SETTINGS, **more}))
    return load(path, environ={}, cwd=folder)


async def test_it_serves_and_leaves_nothing_open(tmp_path: Path) -> None:
    loaded = loaded_in(tmp_path)
    async with running(loaded, port=0) as up, aiohttp.ClientSession() as http:
        assert up.context.ready
        assert up.context.config_path == str(tmp_path / "evenkeel.yaml")
        async with http.post(f"{up.url}/v1/chat/completions", json=CHAT) as response:
            assert response.status == 200
        async with http.get(f"{up.url}/api/v1/status") as response:
            status = await response.json()
        assert status["config_version"] == loaded.version
        assert list(status["sinks"]) == ["storage", "metrics", "log"]
        async with http.get(f"{up.url}/api/v1/config") as response:
            shown = (await response.json())["config"]
        assert shown["providers"]["sunny"]["credentials"][0]["key"] in ("", "***")
        mine = asyncio.current_task()
    assert await refuses(up.url)
    assert asyncio.all_tasks() == {mine}

    database = await open_database(loaded.config.storage, folder=tmp_path, read_only=True)
    page = await Queries(database.reader).page("events")
    await database.close()
    kinds = [each["kind"] for each in page["items"]]
    assert kinds == [
        ProcessStarted.kind,
        "attempt_finished",
        "request_finished",
        ProcessStopped.kind,
    ]
    assert [each["seq"] for each in page["items"]] == [1, 2, 3, 4]


async def refuses(url: str) -> bool:
    """Whether nobody listens there any more."""
    try:
        async with aiohttp.ClientSession() as http:
            await http.get(url)
    except aiohttp.ClientConnectorError:
        return True
    return False


async def test_a_port_in_use_is_an_os_error_and_everything_is_closed_again(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="address already in use"):
            async with running(loaded_in(tmp_path), port=taken.getsockname()[1]):
                pytest.fail("it cannot serve there")
    assert len(asyncio.all_tasks()) == 1


async def test_an_error_of_the_body_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        async with running(loaded_in(tmp_path), port=0):
            raise KeyError
    assert len(asyncio.all_tasks()) == 1


async def test_background_tasks_end_with_their_context() -> None:
    ended = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async with background() as tasks:
        tasks.run(forever(), name="forever")
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_a_background_task_that_fails_ends_what_it_stands_behind() -> None:
    async def fails() -> None:
        await asyncio.sleep(0.01)
        raise ValueError

    async def behind() -> None:
        async with background() as tasks:
            tasks.run(fails(), name="fails")
            await asyncio.sleep(3600)

    with pytest.raises(ExceptionGroup) as caught:
        await behind()
    assert caught.group_contains(ValueError)
    await asyncio.sleep(0)  # Nothing of the cancellation is left behind.


async def test_the_end_of_a_cooldown_is_told_though_nobody_asks(tmp_path: Path) -> None:
    weather = [{"failure": "rate_limited", "retry_after_seconds": 0.5}]
    provider = {**SETTINGS["providers"]["sunny"], "simulated": {"weather": weather}}
    loaded = loaded_in(tmp_path, providers={"sunny": provider})
    async with running(loaded, port=0) as up, aiohttp.ClientSession() as http:
        async with http.post(f"{up.url}/v1/chat/completions", json=CHAT) as response:
            assert response.status == 429
        async with asyncio.timeout(WAIT_SECONDS):
            while "cooldown_ended" not in (kinds := await kinds_of(up)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert "cooldown_started" in kinds


async def kinds_of(up: Running) -> list[str]:
    """What the history tells, without any request that might end a rest by the way."""
    page = await up.context.history.page("events", filters={}, limit=100, order="asc", cursor=None)
    return [item["kind"] for item in page["items"]]


async def test_the_demo_s_configuration_is_sound_and_keeps_to_itself(tmp_path: Path) -> None:
    loaded = demo_config()
    config = loaded.config
    assert config.storage.url == DEMO_DATABASE
    assert {each.dialect for each in config.providers.values()} == {Dialect.SIMULATED}
    assert config.server.host == "127.0.0.1"
    async with (
        running(replace(loaded, folder=tmp_path), demo=True, port=0) as up,
        aiohttp.ClientSession() as http,
    ):
        async with http.get(f"{up.url}/api/v1/status") as response:
            assert (await response.json())["demo"] is True
        async with http.get(f"{up.url}/") as response:
            assert response.status == 200
    assert (tmp_path / "evenkeel-demo.db").exists()
