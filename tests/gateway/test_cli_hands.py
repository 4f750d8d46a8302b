"""The operator's commands, against a stub gateway: what they send, and what they print."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from gateway.cli import cli
from tests.gateway.stub_gateway import EXPLANATION, KEY, NOW, S, StubGateway


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty working folder, so that no configuration of the developer is found."""
    with contextlib.chdir(tmp_path):
        yield tmp_path


@pytest.fixture
async def stub() -> AsyncIterator[StubGateway]:
    async with StubGateway() as stub:
        yield stub


def run(*arguments: str, **variables: str) -> Result:
    unset = {name: None for name in os.environ if name.endswith("_API_KEY")}
    unset |= {"EVENKEEL_CONFIG": None, "EVENKEEL_ADMIN_KEY": None}
    return CliRunner().invoke(cli, arguments, env={**unset, **variables})


async def ask(stub: StubGateway, *arguments: str, **variables: str) -> Result:
    """In a thread: the stub answers in the loop of the test."""
    return await asyncio.to_thread(run, *arguments, "--url", stub.url, **variables)


def words(result: Result) -> list[str]:
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


# -- explain -------------------------------------------------------------------------------------


async def test_explain_says_who_would_serve_and_why_the_others_would_not(stub: StubGateway) -> None:
    result = await ask(stub, "explain", "coder", "--session", "s 1", "--client", "laptop")
    assert result.exit_code == 0, result.output
    assert words(result) == [
        "coder would go to cloudy/b with team. The route stands on cloudy/b.",
        "target credential state reason ready in",
        "sunny/a main cooling cooling: overloaded 47 s",
        "cloudy/b team ready chosen: pointer",
    ]
    asked = stub.asked[0].query
    assert dict(asked) == {
        "model": "coder",
        "session": "s 1",
        "client": "laptop",
        "dialect": "openai",
        "body_tokens": "0",
    }


async def test_explain_tells_of_probes_waits_and_refusals(stub: StubGateway) -> None:
    said: list[str] = []
    for choice, wait in (
        ({"target": "a/x", "credential": "k", "probe": True}, None),
        ({"target": "a/x", "credential": "k", "probe": False}, 2.0),
        (None, 1.5),
        (None, None),
    ):
        with changed(choice=choice, wait_seconds=wait):
            said.append((await ask(stub, "explain", "m")).stdout.splitlines()[0])
    end = ". The route stands on cloudy/b."
    assert said == [
        f"m would go to a/x with k, as a probe{end}",
        f"m would wait up to 2 s for something better, then go to a/x with k{end}",
        f"m would wait up to 1.5 s for something better, then be refused{end}",
        f"m would be refused{end}",
    ]


@contextlib.contextmanager
def changed(**values: Any) -> Iterator[None]:
    """The stub's explanation with other values for a while."""
    before = dict(EXPLANATION)
    EXPLANATION.update(values)
    try:
        yield
    finally:
        EXPLANATION.update(before)


async def test_explain_as_json_is_the_gateway_s_own_answer(stub: StubGateway) -> None:
    assert json.loads((await ask(stub, "explain", "coder", "--json")).stdout) == EXPLANATION


# -- acts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "path", "body"),
    [
        (["reset"], "/api/v1/cooldowns/reset", {}),
        (
            ["reset", "--target", "a/x", "--credential", "k"],
            "/api/v1/cooldowns/reset",
            {"target": "a/x", "credential": "k"},
        ),
        (["reset", "--provider", "a"], "/api/v1/cooldowns/reset", {"provider": "a"}),
        (["rest", "a/x"], "/api/v1/targets/a/x/rest", {}),
        (
            ["rest", "a/org/x y", "--for", "10m"],
            "/api/v1/targets/a/org/x%20y/rest",
            {"expires_seconds": 600.0},
        ),
        (["drain", "a/x", "--for", "90"], "/api/v1/targets/a/x/drain", {"expires_seconds": 90.0}),
        (["enable", "a/x"], "/api/v1/targets/a/x/enable", {}),
        (["pin", "co/der", "a/x"], "/api/v1/routes/co%2Fder/pin", {"target": "a/x"}),
        (
            ["pin", "coder", "a/x", "--for", "2h"],
            "/api/v1/routes/coder/pin",
            {"target": "a/x", "expires_seconds": 7200.0},
        ),
        (["unpin", "coder"], "/api/v1/routes/coder/unpin", {}),
        (["clear-penalty", "coder"], "/api/v1/routes/coder/clear-penalty", {}),
    ],
)
async def test_an_act_is_sent_with_its_note_and_who_acts(
    stub: StubGateway, arguments: list[str], path: str, body: dict[str, Any]
) -> None:
    result = await ask(stub, *arguments, "--note", "why not")
    assert result.exit_code == 0, result.output
    ((sent_path, sent_body, headers),) = stub.acted
    assert (sent_path, sent_body) == (path, {**body, "note": "why not"})
    assert headers["x-evenkeel-actor"] == getpass.getuser()


async def test_what_came_of_an_act_is_told_in_sentences(stub: StubGateway) -> None:
    place = {"route": "", "target": "a/x", "provider": "a", "credential": ""}
    stub.events = [
        {
            "kind": "operator_acted",
            "ts": NOW,
            "actor": "ada",
            "action": "rest",
            "note": "upgrade",
            "until": NOW + 600 * S,
            **place,
        }
    ]
    result = await ask(stub, "rest", "a/x")
    assert result.stdout == "ada let a/x rest for 10 m (upgrade)\n"


async def test_an_act_as_json_is_the_gateway_s_own_answer(stub: StubGateway) -> None:
    result = await ask(stub, "unpin", "coder", "--json")
    assert json.loads(result.stdout) == {"done": True, "events": stub.events}


async def test_a_reload_names_what_changed(stub: StubGateway) -> None:
    unchanged = await ask(stub, "reload")
    stub.changes = ["routes[0].targets", "stability.cooldown_multiplier"]
    result = await ask(stub, "reload")
    assert unchanged.stdout == "configuration new: nothing changed\n"
    assert result.stdout == (
        "configuration new: routes[0].targets, stability.cooldown_multiplier\n"
    )


async def test_a_refused_reload_names_every_problem(stub: StubGateway) -> None:
    problems = ["server.port: a change of it needs a restart", "routes[0].name: required"]
    error = {"code": "config_rejected", "message": "The old one is in force.", "problems": problems}
    stub.refusal = web.json_response({"error": error}, status=422)
    result = await ask(stub, "reload")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == ["The old one is in force.", *problems]


async def test_an_unknown_place_is_one_line_on_stderr(stub: StubGateway) -> None:
    error = {"code": "unknown_place", "message": "there is no route 'nobody'; there are coder"}
    stub.refusal = web.json_response({"error": error}, status=404)
    result = await ask(stub, "unpin", "nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "there is no route 'nobody'; there are coder\n"


async def test_the_admin_key_is_shown_where_it_is_asked_for() -> None:
    async with StubGateway(key=KEY) as stub:
        refused = await ask(stub, "enable", "a/x")
        done = await ask(stub, "enable", "a/x", EVENKEEL_ADMIN_KEY=KEY)
    assert (refused.exit_code, done.exit_code) == (1, 0)
    assert "EVENKEEL_ADMIN_KEY" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rest", "no-slash"], "TARGET is written provider/model, not 'no-slash'"),
        (["rest", "a/x", "--for", "soon"], "'soon' is no length of time"),
        (["pin", "coder", "a/x", "--for", "-5"], "'-5' is no length of time"),
        (["drain", "a/x", "--for", "nan"], "'nan' is no length of time"),
    ],
)
async def test_what_is_written_wrong_is_refused_before_it_is_sent(
    stub: StubGateway, arguments: list[str], said: str
) -> None:
    result = await ask(stub, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert stub.acted == []


async def test_without_a_gateway_an_act_is_one_line_on_stderr() -> None:
    result = await asyncio.to_thread(run, "unpin", "coder", "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    assert result.stderr == "no gateway answers at http://127.0.0.1:9 (connection refused)\n"
