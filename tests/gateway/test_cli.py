"""The commands, in process, against a stub gateway; a few as programs of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import cli
from tests.gateway.stub_gateway import KEY, REQUEST_ID, STATUS, STORY, StubGateway, switched

ROOT = Path(__file__).parents[2]
NOBODY = "http://127.0.0.1:9"
"""The discard port: nothing listens."""
PROGRAM_SECONDS = 20
CONFIG = """
server: {port: 9}
providers:
  openai: {credentials: [{name: main, key: "sk-very-secret"}]}
routes:
  - {name: coder, targets: [openai/gpt]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty working folder, so that no configuration of the developer is found."""
    with contextlib.chdir(tmp_path):
        yield tmp_path


@pytest.fixture
async def stub() -> AsyncIterator[StubGateway]:
    async with StubGateway() as stub:
        yield stub


def environment() -> dict[str, str | None]:
    """Without the keys and settings this machine may have."""
    found = {name: None for name in os.environ if name.endswith("_API_KEY")}
    return {**found, "EVENKEEL_CONFIG": None, "EVENKEEL_ADMIN_KEY": None, "PROXY_API_KEY": None}


def run(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(cli, arguments, env={**environment(), **variables})


async def ask(*arguments: str, **variables: str) -> Result:
    """In a thread: the stub answers in the loop of the test."""
    return await asyncio.to_thread(run, *arguments, **variables)


def program(*arguments: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if name not in environment()}
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**clean, "PYTHONPATH": str(ROOT)},
        preexec_fn=listen_to_ctrl_c,
    )


def listen_to_ctrl_c() -> None:
    """As in a terminal, though whoever started the tests may ignore it, as jobs of scripts do."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


# -- status --------------------------------------------------------------------------------------


async def test_status_shows_who_serves_what_is_ready_and_what_rests(stub: StubGateway) -> None:
    result = await ask("status", "--url", stub.url)
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert f"Evenkeel 0.1.0 at {stub.url}, demo, up 1 m 30 s" in lines
    assert "coder sunny/a cooling overloaded 47 s 1/2 2600" in lines
    notes = "FLAPPING because of sunny/a, pinned to cloudy/b for 1 h more, 1 waiting, 12 sessions"
    assert f"coder: {notes}" in lines
    assert "cloudy/b 1 m 01 s ready 1/2" in lines
    assert "sunny main 1 cooling rate_limited 20 s 0 7" in lines
    assert any(line.startswith("sunny/a overloaded ladder 2 47 s 20") for line in lines)


async def test_status_as_json_is_the_gateway_s_own_answer(stub: StubGateway) -> None:
    result = await ask("status", "--url", stub.url, "--json")
    assert json.loads(result.stdout) == STATUS


async def test_a_missing_gateway_is_one_line_on_stderr(folder: Path) -> None:
    result = await ask("status", "--url", NOBODY)
    assert result.exit_code == 1
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line == f"no gateway answers at {NOBODY} (connection refused)"


async def test_the_admin_key_is_taken_from_the_environment() -> None:
    async with StubGateway(key=KEY) as stub:
        refused = await ask("status", "--url", stub.url)
        shown = await ask("status", "--url", stub.url, EVENKEEL_ADMIN_KEY=KEY)
    assert refused.exit_code == 1
    assert "EVENKEEL_ADMIN_KEY" in refused.stderr
    assert shown.exit_code == 0


async def test_address_and_admin_key_are_taken_from_the_configuration(folder: Path) -> None:
    async with StubGateway(key=KEY) as stub:
        port = stub.url.rpartition(":")[2]
        text = CONFIG.replace("port: 9", f"port: {port}") + f"auth: {{admin_key: {KEY}}}\n"
        (folder / "evenkeel.yaml").write_text(text)
        result = await ask("status")
    assert result.exit_code == 0, result.stderr


async def test_a_configuration_that_cannot_be_read_here_is_noted_and_passed_over(
    stub: StubGateway, folder: Path
) -> None:
    (folder / "evenkeel.yaml").write_text(CONFIG.replace("sk-very-secret", "${NOT_SET_HERE}"))
    result = await ask("status", "--url", stub.url)
    assert result.exit_code == 0
    assert "configuration not used" in result.stderr
    assert "NOT_SET_HERE" in result.stderr


async def test_something_else_at_the_address_is_said_to_be_no_gateway(stub: StubGateway) -> None:
    result = await ask("status", "--url", f"{stub.url}/page")
    assert result.exit_code == 1
    assert "is no Evenkeel gateway" in result.stderr


def test_a_url_that_is_none_is_a_wrong_command_line() -> None:
    result = run("status", "--url", "localhost:8080")
    assert result.exit_code == 2
    assert "--url" in result.stderr


def test_on_a_terminal_tables_are_drawn_and_colours_can_be_turned_off() -> None:
    drawn = terminal("print_table('Routes', ('state',), [('ready',)])")
    assert "\x1b[" in drawn
    assert "ready" in drawn
    plain = terminal("print_table('Routes', ('state',), [('ready',)])", NO_COLOR="1")
    assert "ready" in plain
    assert "\x1b[3" not in plain


def terminal(call: str, **variables: str) -> str:
    """What the call writes to a terminal."""
    ours, theirs = os.openpty()
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    subprocess.run(
        [sys.executable, "-c", f"from gateway.cli_output import *; {call}"],
        cwd=ROOT,
        stdout=theirs,
        check=True,
        env={**clean, "TERM": "xterm-256color", **variables},
    )
    os.close(theirs)
    written = os.read(ours, 10_000).decode()
    os.close(ours)
    return written


# -- events --------------------------------------------------------------------------------------


async def test_events_are_sentences_oldest_first(stub: StubGateway) -> None:
    result = await ask("events", "--url", stub.url)
    first, second = result.stdout.splitlines()
    assert "coder switched sunny/a → cloudy/b (overloaded), after 1 m 01 s" in first
    assert first.endswith(REQUEST_ID)
    assert first < second


async def test_events_as_json_are_one_object_per_line(stub: StubGateway) -> None:
    result = await ask("events", "--url", stub.url, "--json")
    assert [json.loads(line) for line in result.stdout.splitlines()] == stub.events


async def test_filters_are_passed_on(stub: StubGateway) -> None:
    chosen = {
        "kind": "switched",
        "route": "coder",
        "provider": "sunny",
        "target": "sunny/a",
        "credential": "main",
        "session": "s",
        "request": "r",
        "outcome": "failed",
        "failure": "overloaded",
        "limit": "7",
        "since": "2026-11-23T12:00:00Z",
    }
    options = [word for name, value in chosen.items() for word in (f"--{name}", value)]
    result = await ask("events", "--url", stub.url, *options)
    assert result.exit_code == 0, result.output
    [asked] = stub.asked
    expected = {**chosen, "request_id": "r", "since": "1795435200000000", "order": "desc"}
    del expected["request"]
    assert dict(asked.query) == expected


async def test_a_filter_that_the_gateway_refuses_is_a_wrong_command_line(
    stub: StubGateway,
) -> None:
    result = await ask("events", "--url", stub.url, "--kind", "nonsense")
    assert (result.exit_code, result.stderr) == (2, "unknown kind 'nonsense'\n")


def test_a_since_that_is_no_time_is_a_wrong_command_line() -> None:
    result = run("events", "--since", "yesterday")
    assert result.exit_code == 2
    assert "24h" in result.stderr


async def test_following_shows_the_newest_then_what_comes_and_survives_a_break(
    stub: StubGateway,
) -> None:
    stub.tailed = [[switched(3)], [switched(4)]]
    process = program("events", "--follow", "--json", "--url", stub.url)
    assert process.stdout is not None
    read = asyncio.to_thread(lambda: [next(process.stdout or iter(())) for _ in range(4)])
    lines = await asyncio.wait_for(read, PROGRAM_SECONDS)
    process.send_signal(signal.SIGINT)
    _, noted = await asyncio.to_thread(process.communicate, timeout=PROGRAM_SECONDS)
    assert [json.loads(line)["id"] for line in lines] == [1, 2, 3, 4]
    tails = [each for each in stub.asked if "Last-Event-ID" in each.headers]
    assert [each.headers["Last-Event-ID"] for each in tails][:2] == ["2", "3"]
    assert process.returncode == 130
    assert "trying again" in noted
    assert "Traceback" not in noted


async def test_a_reader_that_goes_away_ends_it_quietly(stub: StubGateway) -> None:
    stub.events = [switched(number) for number in range(1, 5000)]
    process = program("events", "--url", stub.url)
    assert process.stdout is not None
    await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), PROGRAM_SECONDS)
    process.stdout.close()
    assert process.stderr is not None
    noted = await asyncio.wait_for(asyncio.to_thread(process.stderr.read), PROGRAM_SECONDS)
    await asyncio.to_thread(process.wait, PROGRAM_SECONDS)
    process.stderr.close()
    assert noted == ""


# -- requests ------------------------------------------------------------------------------------


async def test_a_request_is_told_candidate_by_candidate(stub: StubGateway) -> None:
    result = await ask("requests", REQUEST_ID, "--url", stub.url)
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == f"request {REQUEST_ID} of laptop"
    assert "served by cloudy/b [team] instead of sunny/a (overloaded)" in lines
    places = [
        lines.index(line)
        for line in (
            "+0.000 s 1 sunny/a [main] tried: failed after 0.42 s, overloaded (529)",
            "+0.420 s 2 sunny/a [main] skipped: cooling (rate_limited), for 20 s more",
            "+0.500 s 3 sunny/a [main] tried: answered in 2.9 s",
            "+1.000 s coder switched sunny/a → cloudy/b (overloaded), after 1 m 01 s",
            "+3.420 s ended: ok, status 200",
        )
    ]
    assert places == sorted(places)
    assert stub.asked[-1].query["request_id"] == REQUEST_ID


async def test_a_request_as_json_is_the_gateway_s_own_answer(stub: StubGateway) -> None:
    result = await ask("requests", REQUEST_ID, "--url", stub.url, "--json")
    assert json.loads(result.stdout) == STORY


async def test_an_unknown_request_is_an_error(stub: StubGateway) -> None:
    result = await ask("requests", "no/such one", "--url", stub.url)
    assert (result.exit_code, result.stderr) == (1, "no request 'no/such one' is known\n")
    assert stub.asked[0].raw_path == "/api/v1/requests/no%2Fsuch%20one"


# -- check, serve, demo --------------------------------------------------------------------------


def write(folder: Path, text: str) -> str:
    path = folder / "some.yaml"
    path.write_text(text)
    return str(path)


def test_check_sums_up_a_good_configuration(folder: Path) -> None:
    result = run("check", "--config", write(folder, CONFIG))
    assert result.exit_code == 0, result.stderr
    assert "provider openai: openai, 1 credential\n" in result.stdout
    assert "route coder: openai/gpt" in result.stdout


def test_check_names_every_problem_on_a_line_of_its_own(folder: Path) -> None:
    text = CONFIG.replace("port: 9", "port: 99999").replace("name: coder", "naem: coder")
    result = run("check", "--config", write(folder, text))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "server.port" in result.stderr
    assert "naem" in result.stderr
    assert len(result.stderr.splitlines()) >= 2


def test_check_shows_every_setting_with_its_source_and_no_secret(folder: Path) -> None:
    path = write(folder, CONFIG)
    table = run("check", "--config", path, "--show-effective").stdout
    port = next(line for line in table.splitlines() if line.startswith("server.port "))
    assert port.split()[1] == "9"
    assert "some.yaml" in port
    assert "sk-very-secret" not in table
    found = json.loads(run("check", "--config", path, "--show-effective", "--json").stdout)
    assert found["ok"] is True
    assert {"path", "value", "source"} == set(found["effective"][0])


def test_check_tells_problems_as_json_too(folder: Path) -> None:
    result = run("check", "--json", "--config", write(folder, "serverr: {}\n" + CONFIG))
    assert result.exit_code == 2
    found = json.loads(result.stdout)
    assert found["ok"] is False
    assert any("serverr" in problem for problem in found["problems"])


@pytest.mark.parametrize("command", ["check", "serve", "demo", "status", "events"])
def test_a_configuration_file_that_is_not_there_stops_every_command(command: str) -> None:
    result = run(command, "--config", "nowhere.yaml")
    assert result.exit_code == 2
    assert "nowhere.yaml" in result.stderr


def test_serve_starts_nothing_with_a_broken_configuration(folder: Path) -> None:
    result = run("serve", "--config", write(folder, "providers: {x: {dialect: morse}}"))
    assert result.exit_code == 2
    assert "providers.x.dialect" in result.stderr


def test_the_demo_sends_no_traffic_to_real_providers(folder: Path) -> None:
    result = run("demo", "--config", write(folder, CONFIG))
    assert result.exit_code == 2
    assert "'openai'" in result.stderr


# -- the program ---------------------------------------------------------------------------------


def test_help_imports_nothing_that_is_slow() -> None:
    loaded = (
        "import sys; from gateway.cli import cli; cli(['--help'], standalone_mode=False); "
        "print(sorted({'aiohttp', 'rich', 'sqlalchemy', 'pydantic', 'yaml', 'asyncio'}"
        " & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"


def test_it_runs_as_a_module_and_knows_its_version() -> None:
    process = program("--version")
    out, problems = process.communicate(timeout=PROGRAM_SECONDS)
    assert (process.returncode, problems) == (0, "")
    assert "evenkeel" in out
