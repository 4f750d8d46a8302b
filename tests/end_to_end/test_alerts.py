"""A flapping route's alert on its way: gateway, Prometheus, Alertmanager, receiver. The real ones.

The rules are the shipped ones with shorter durations, so that it is over within a minute.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import aiohttp

from dashboards.rules.files import alerts
from tests.end_to_end.flapping import QUICK, limited, settings, traffic
from tests.end_to_end.gateways import client_of, eventually, program, write
from tests.end_to_end.neighbours import Receiver, alertmanager, collector, prometheus, receiver

FLAPPING = "EvenkeelRouteFlapping"
ROUTE = "coder"
QUICKER = {
    "[10m]": "[10s]",
    "[1h]": "[20s]",
    "keep_firing_for: 1h": "keep_firing_for: 20s",
    "for: 5m": "for: 12s",
    "for: 1m": "for: 4s",
}
FLAP_SECONDS = 40.0
RECOVER_SECONDS = 90.0


async def test_flapping_is_told_once_and_so_is_its_end(tmp_path: Path) -> None:
    async with limited() as upstream, collector() as spans, receiver() as told:
        weather = settings(upstream, spans.url)
        weather["stability"] = {**QUICK, "damping": "observe"}
        write(tmp_path, weather)
        async with (
            program(tmp_path, "serve", "--port", "0") as p,
            client_of(await p.url()) as client,
            alertmanager(tmp_path, told.url) as manager,
            prometheus(tmp_path, client.url, alertmanager=manager, changed=QUICKER),
        ):
            async with asyncio.TaskGroup() as group:
                busy = group.create_task(traffic(client, RECOVER_SECONDS))
                await eventually(lambda: _has(told, "firing"), FLAP_SECONDS)
                await eventually(lambda: _smaller_is_held_back(manager), FLAP_SECONDS)
                busy.cancel()
            await eventually(lambda: _has(told, "resolved"), RECOVER_SECONDS)
            [fired], [resolved] = of_route(told, "firing"), of_route(told, "resolved")
            assert fired["labels"] == resolved["labels"]
            assert fired["labels"] == {"alertname": FLAPPING, "route": ROUTE, "severity": "ticket"}
            await the_note_says_where_to_look(client, fired)


def of_route(told: Receiver, status: str) -> list[dict[str, Any]]:
    """All alerts about the route, the smaller ones among them."""
    return [each for each in told.alerts(status) if each["labels"].get("route") == ROUTE]


async def _smaller_is_held_back(manager: str) -> bool:
    """Alertmanager has another alert about the route, and keeps it to itself."""
    async with aiohttp.ClientSession() as http, http.get(f"{manager}/api/v2/alerts") as response:
        known = await response.json()
    return any(
        each["status"]["inhibitedBy"]
        for each in known
        if each["labels"].get("route") == ROUTE and each["labels"]["alertname"] != FLAPPING
    )


async def _has(told: Receiver, status: str) -> bool:
    return bool(of_route(told, status))


async def the_note_says_where_to_look(client: Any, fired: dict[str, Any]) -> None:
    note = fired["annotations"]
    [alert] = [each for each in alerts() if each.name == FLAPPING]
    assert note["summary"] == f"{ROUTE} is flapping"
    assert note["dashboard"] == f"/d/{alert.board}"
    assert re.fullmatch(r"docs/runbooks\.md#[a-z-]+", note["runbook"])
    got = await client.get(note["history"])
    assert got.status == 200
    assert {row["route"] for row in got.json["items"]} == {ROUTE}
    assert any(row["reversal"] for row in got.json["items"])
