"""A configuration that cannot be served: every problem at once, exit status 2, nothing started."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.end_to_end.gateways import DATABASE, FILE, program, settings_of, write

BAD = """
server: {prot: 8080, max_body_bytes: 0}
providers:
  a:
    dialect: opnai
    base_url: http://127.0.0.1:1
    credentials: [{name: main, key: "sk-secret-of-the-file"}]
    cooldwn: 5
  b:
    dialect: openai
    base_url: http://127.0.0.1:1
    credentials: [{name: one, key: "${NOT_SET}"}]
    stability: {breaker_ratio: 7}
routes:
  - {name: coder, targets: [a/m, c/m]}
stability: {probe_gap_seconds: -1}
"""
PROBLEMS = (
    "server.prot: unknown key",
    "server.max_body_bytes: must be at least 1",
    "providers.a.dialect: ",
    "providers.a.cooldwn: unknown key",
    "providers.b.credentials[0].key: ",
    "providers.b.stability.breaker_ratio: must be",
    "routes[0].targets[1].target: 'c' is no configured provider",
    "stability.probe_gap_seconds: must be",
)


async def test_every_problem_is_told_and_nothing_starts(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    write(tmp_path, BAD)
    async with program(tmp_path, "serve", "--config", FILE, "--port", str(port)) as p:
        assert await p.ended() == 2
        text = p.text()
        for problem in PROBLEMS:
            assert any(line.startswith(problem) for line in text.splitlines()), (problem, text)
        assert len(text.splitlines()) == len(PROBLEMS), text
        assert "secret" not in text
        assert not (tmp_path / DATABASE).exists()
        with pytest.raises(OSError, match=r"refused|Connect"):
            await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (("demo", "--host", "0.0.0.0"), None),
        (("serve", "--config", FILE, "--host", "192.0.2.7"), settings_of({})),
        (("serve", "--config", FILE), settings_of({}, server={"host": "::"})),
    ],
)
async def test_a_public_address_without_keys_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, object] | None
) -> None:
    if settings is not None:
        provider = {"dialect": "simulated", "credentials": [{"name": "one"}]}
        write(tmp_path, {**settings, "providers": {"a": provider}})
    async with program(tmp_path, *arguments) as p:
        assert await p.ended() == 2
        assert "can be reached from other machines: set auth.clients and auth.admin_key" in p.text()


async def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with program(tmp_path, "demo", "--port", port) as p:
            assert await p.ended() == 1
            last = p.text().splitlines()[-1]
            assert "cannot serve" in last
            assert port in last
            assert "address already in use" in last
            assert "Traceback" not in p.text()


async def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    async with program(tmp_path, "serve", "--config", "missing.yaml") as p:
        assert await p.ended() == 2
        assert p.text() == "--config: no file 'missing.yaml'\n"
