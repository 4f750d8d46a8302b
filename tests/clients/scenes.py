"""A real client, a gateway and two providers: what was said, what was seen, what is on record.

The first provider may fall over in the middle of a session: it has asked for a tool, and when the
client comes back with the result, it is down. The client must not notice.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.clients.answers import Call, overloaded, said, turn_of
from tests.end_to_end.gateways import Served, gateway, settings_of
from tests.upstream import Answer, Hit, ScriptedUpstream

CLIENT_SECONDS = 120.0
"""For one run of a client, on a machine that is busy with other things."""
FIRST = "Fair winds from the first provider."
SECOND = "Fair winds from the second provider."
ROUTE = "coder"
SECRET_OF_THE_FILE = "the-harbour-is-at-54.32"


@dataclass(slots=True)
class Script:
    """How both providers behave."""

    calls: tuple[Call, ...] = ()
    """The first of these tools that the client has is asked for, once."""
    falls: bool = False
    """The first provider is down from its tool call on."""
    called: bool = False
    results: str = ""

    def decide(self, hit: Hit, text: str, *, first: bool) -> Answer | None:
        if hit.method != "POST" or hit.path.endswith(("count_tokens", "countTokens")):
            return None
        turn = turn_of(hit)
        self.results = turn.results or self.results
        if first and self.falls and self.called:
            return overloaded(turn)
        wanted = [call for call in self.calls if call.name in turn.tools]
        if wanted and not turn.results and not self.called:
            self.called = True
            return said(turn, "", wanted[0])
        return said(turn, text)


@dataclass(frozen=True, slots=True)
class Ran:
    """A client's run."""

    status: int
    output: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Scene:
    first: ScriptedUpstream
    second: ScriptedUpstream
    served: Served
    script: Script
    folder: Path
    """Where the client works."""
    home: Path

    @property
    def url(self) -> str:
        return self.served.url

    async def run(self, *command: str, **environ: str) -> Ran:
        """Runs a client in `folder`, with a home of its own and nothing on its input."""
        clean = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        own = {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config")}
        output = self.home / "output.txt"
        began = perf_counter()
        with output.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=self.folder,
                env={**clean, **own, "TERM": "dumb", "NO_COLOR": "1", **environ},
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(CLIENT_SECONDS):
                status = await process.wait()
        except TimeoutError:
            status = -1
        finally:
            await _ended(process)
        return Ran(status, output.read_text(errors="replace"), perf_counter() - began)

    async def requests(self) -> list[dict[str, Any]]:
        await self.served.settled()
        return await self.served.client.all("requests")

    async def attempts(self) -> list[dict[str, Any]]:
        await self.served.settled()
        return await self.served.client.all("attempts")

    async def answered(self, ran: Ran) -> None:
        """The client has the first provider's words, and nothing went wrong on the way."""
        assert ran.status == 0, ran.output
        assert FIRST in ran.output, ran.output
        assert self.first.hits
        assert not self.second.hits
        rows = await self.requests()
        assert rows
        assert {row["outcome"] for row in rows} == {"ok"}

    async def used_its_tool(self, ran: Ran, *, result: str = SECRET_OF_THE_FILE) -> None:
        await self.answered(ran)
        assert self.script.called
        assert result in self.script.results, self.script.results

    async def survived(self, ran: Ran, *, result: str = SECRET_OF_THE_FILE) -> None:
        """The first provider fell over within the session, the second one ended it."""
        assert ran.status == 0, ran.output
        assert SECOND in ran.output, ran.output
        assert result in self.script.results, self.script.results
        await self.rescued()

    async def rescued(self) -> None:
        """On record: every request was served, one of them by the second provider."""
        rows = await self.requests()
        assert {row["outcome"] for row in rows} == {"ok"}, rows
        assert [row for row in rows if row["attempts"] > 1], rows
        outcomes = {(row["provider"], row["outcome"]) for row in await self.attempts()}
        assert {("first", "ok"), ("first", "failed"), ("second", "ok")} <= outcomes

    def dialects_of_second(self) -> set[str]:
        """In which dialects the second provider was asked."""
        return {turn_of(hit).dialect for hit in self.second.hits if hit.method == "POST"}


async def _ended(process: asyncio.subprocess.Process) -> None:
    """The client and whatever it left behind in its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


@asynccontextmanager
async def scene(
    tmp_path: Path,
    *,
    dialects: Sequence[str],
    calls: Sequence[Call] = (),
    falls: bool = False,
    route: str = ROUTE,
    **settings: Any,
) -> AsyncIterator[Scene]:
    """`dialects`: of the first and of the second provider."""
    folder, home = tmp_path / "work", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    (folder / "harbour.txt").write_text(f"{SECRET_OF_THE_FILE}\n")
    script = Script(tuple(calls), falls)
    async with ScriptedUpstream() as first, ScriptedUpstream() as second:
        first.decide = lambda hit: script.decide(hit, FIRST, first=True)
        second.decide = lambda hit: script.decide(hit, SECOND, first=False)
        providers = {
            "first": provider(dialects[0], first),
            "second": provider(dialects[1], second),
        }
        made = settings_of(providers, {route: ["first/model-a", "second/model-b"]}, **settings)
        async with gateway(tmp_path, made) as served:
            yield Scene(first, second, served, script, folder, home)


def provider(dialect: str, upstream: ScriptedUpstream) -> Mapping[str, Any]:
    """`responses` is OpenAI's dialect with Responses besides chat completions."""
    base = {"anthropic": upstream.url, "gemini": f"{upstream.url}/v1beta"}
    made = {
        "dialect": dialect,
        "base_url": base.get(dialect, upstream.openai_url),
        "credentials": [{"name": "key-1", "key": f"sk-{dialect}-key-1"}],
    }
    return {**made, "dialect": "openai", "responses": "native"} if dialect == "responses" else made
