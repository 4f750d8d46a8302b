"""Both servers on one port; `tests/gateway/server` compares them on the inference routes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.app import running
from gateway.config_file import Loaded, parse
from tests.gateway.api.serving import SETTINGS, api
from tests.gateway.api.test_inference import CHAT

SERVERS = ("own", "aiohttp")


def serving(server: str, **more: object) -> dict[str, Any]:
    return {"server": {"drain_seconds": 2, "http_server": server, **more}}


@pytest.mark.parametrize("server", SERVERS)
async def test_one_connection_reaches_everything(server: str) -> None:
    async with api(serving(server)) as a:
        for _ in range(2):
            assert (await a.post("/v1/chat/completions", CHAT))[0] == 200
            assert (await a.get("/healthz"))[0] == 200
        status, answer = await a.post("/v1/chat/completion", CHAT)
        assert (status, answer["error"]["code"]) == (404, "not_supported")
        assert len(await a.finished()) == 2


@pytest.mark.parametrize("server", SERVERS)
async def test_what_is_under_way_at_the_end_is_answered(server: str, tmp_path: Path) -> None:
    slow = {
        "providers": {
            "sunny": {
                "dialect": "simulated",
                "credentials": [{"name": "main"}],
                "models": {"list": ["large"]},
                "simulated": {"first_token_seconds": 0.4, "tokens_per_second": 100_000},
            }
        },
        "routes": [{"name": "coder", "targets": ["sunny/large"]}],
    }
    config = parse(json.dumps({**SETTINGS, **serving(server), **slow}), environ={})
    loaded = Loaded(config=config, version="x", sources={}, path=None, folder=tmp_path, warnings=())
    async with aiohttp.ClientSession() as http:
        async with running(loaded, port=0) as gateway:
            url = f"{gateway.url}/v1/chat/completions"
            asking = asyncio.ensure_future(http.post(url, data=json.dumps(CHAT)))
            await asyncio.sleep(0.2)
            assert not asking.done()
        assert (await asking).status == 200
