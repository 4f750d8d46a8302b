"""Each npm client through the gateway: a prompt, a tool, a provider that falls over in between.

Not collected by `make test`: `make test-clients` installs the clients and runs this.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients.npm.clients import PROGRAMS, Program
from tests.clients.programs import npm_version
from tests.clients.scenes import Ran, scene

PROMPT = "Where is the harbour? Read harbour.txt."
each_client = pytest.mark.parametrize("client", PROGRAMS, ids=lambda it: it.name)


@pytest.fixture
def note(request: pytest.FixtureRequest, record_property: Any) -> Any:
    """Puts a run into the table that is printed at the end."""

    def put(client: Program, column: str, ran: Ran) -> None:
        record_property("client", f"{client.name} | {npm_version(client.package)}")
        record_property("column", column)
        record_property("seconds", f"{ran.seconds:.1f}")

    return put


@each_client
async def test_it_answers_a_prompt(tmp_path: Path, client: Program, note: Any) -> None:
    async with scene(tmp_path, dialects=(client.dialect,) * 2, route=client.route) as s:
        ran = await client.ask(s, "How is the wind?")
        await s.answered(ran)
    note(client, "prompt", ran)


@each_client
async def test_it_uses_a_tool(tmp_path: Path, client: Program, note: Any) -> None:
    calls = client.calls(tmp_path / "work" / "harbour.txt")
    dialects = (client.dialect,) * 2
    async with scene(tmp_path, dialects=dialects, route=client.route, calls=calls) as s:
        ran = await client.ask(s, PROMPT)
        await s.used_its_tool(ran)
        sessions = {row["session"] for row in await s.requests()}
    if client.names_its_session:
        assert len(sessions) == 1
        assert sessions != {""}
    note(client, "tool", ran)


@each_client
@pytest.mark.parametrize("column", ["fallback", "fallback to another dialect"])
async def test_it_survives_a_fallback_within_its_session(
    tmp_path: Path, client: Program, column: str, note: Any
) -> None:
    calls = client.calls(tmp_path / "work" / "harbour.txt")
    dialects = (client.dialect, client.dialect if column == "fallback" else client.other)
    async with scene(tmp_path, dialects=dialects, route=client.route, calls=calls, falls=True) as s:
        ran = await client.ask(s, PROMPT)
        await s.survived(ran)
        assert s.dialects_of_second() == {dialects[1]}
    note(client, column, ran)
