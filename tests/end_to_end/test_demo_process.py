"""The demo as a newcomer meets it: within a minute everything there is to see has happened."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

from tests.end_to_end.gateways import Client, client_of, eventually, program

WATCH_SECONDS = 60.0
"""Usually ten; weather and traffic are drawn by chance."""
WANTED = ("switched", "cooldown_started", "cooldown_ended")
CSP = "content-security-policy"


async def test_the_demo_shows_fallbacks_switches_and_cooldowns(tmp_path: Path) -> None:
    """Waits until the weather has done its work."""
    async with program(tmp_path, "demo", "--port", "0") as p, client_of(await p.url()) as client:
        await the_printed_line_answers(p.text())
        await the_console_is_there(client)
        await eventually(lambda: everything_has_happened(client), WATCH_SECONDS)
        status = await client.api("status")
        assert status["demo"] is True
        assert {route["route"] for route in status["routes"]} == {"coder", "chat", "draft"}
        assert status["internal_errors"] == 0
        outcomes = {row["outcome"] for row in await client.all("requests")}
        assert "ok" in outcomes
        p.signal()
        assert await p.ended() == 0
        assert "Traceback" not in p.text()
        assert (tmp_path / "evenkeel-demo.db").exists()


async def everything_has_happened(client: Client) -> bool:
    for kind in WANTED:
        if not (await client.api("events", kind=kind, limit=1))["items"]:
            return False
    series = await client.metrics()
    counted = ("fallbacks", "rotations", "switches", "cooldowns", "rescues")
    return all(series.total(f"evenkeel_{name}_total") > 0 for name in counted)


async def the_printed_line_answers(text: str) -> None:
    _, _, line = text.partition("try ")
    command = line.partition("history")[0].replace("\\\n", " ")
    arguments = shlex.split(command)
    assert arguments[0] == "curl"
    process = await asyncio.create_subprocess_exec(
        *arguments, "--max-time", "20", stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate()
    assert process.returncode == 0
    assert b'"choices"' in answer, answer


async def the_console_is_there(client: Client) -> None:
    page = await client.get("/")
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in page.headers[CSP]
    for name in ("app.js", "view.js", "words.js", "style.css", "icon.svg"):
        assert f"console/{name}".encode() in page.body or name in ("view.js", "words.js")
        file = await client.get(f"/console/{name}")
        assert (file.status, CSP in file.headers) == (200, True)
