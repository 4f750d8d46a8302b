"""Gateways of others, to be measured beside ours: how each is started, asked, and known to be ready.

`make bench-peers` installs them into `.peers`, each into an environment of its own, from the files
in `peer_files`. They run as their makers advise for production, on one core, without a database.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import perf_counter, sleep

ROOT = Path(__file__).parents[2]
FILES = Path(__file__).parent / "peer_files"
INSTALLED = ROOT / ".peers"
PORTKEY = INSTALLED / "portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
LITELLM = INSTALLED / "litellm/bin/litellm"
MASTER_KEY = "sk-benchmark-master-key"
UPSTREAM_KEY = "key-one"
STOP_SECONDS_MAX = 5.0
PRIORITY = -10
ANSWER_SECONDS_MAX = 10.0

BROKEN = ":new Response(p,e)}const Ad="
"""Of Portkey 1.15.2: a streamed answer shares the provider's headers, which Node 20.20 has made
unchangeable; the next step adds to them, and every stream ends as a 500."""
MENDED = (
    ":new Response(p,{status:e.status,statusText:e.statusText,"
    "headers:new Headers(e.headers)})}const Ad="
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A gateway as a process to start, on a port that it is told."""

    name: str
    command: tuple[str, ...]
    port: int
    ready_path: str
    """Answers 200 as soon as requests are served."""
    environment: Mapping[str, str] = field(default_factory=dict)
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] = field(default_factory=dict)
    """That each request needs."""
    model: str = "bench"
    start_seconds_max: float = 90.0


@dataclass(frozen=True, slots=True)
class Running:
    peer: Peer
    pid: int
    ready_seconds: float
    """From its start to the first answer on `ready_path`."""


def installed() -> dict[str, str]:
    """The version of each that is installed."""
    versions = {}
    if LITELLM.exists():
        [info] = LITELLM.parents[1].glob("lib/python*/site-packages/litellm-*.dist-info")
        versions["litellm"] = info.name.removeprefix("litellm-").removesuffix(".dist-info")
    if PORTKEY.exists():
        package = json.loads((PORTKEY.parents[1] / "package.json").read_text(encoding="utf-8"))
        versions["portkey"] = package["version"]
    return versions


def peers(folder: Path, upstream: str) -> list[Peer]:
    """All of them, before one provider. Raises `FileNotFoundError` if one is not installed."""
    missing = {"litellm", "portkey"} - set(installed())
    if missing:
        message = f"not installed: {', '.join(sorted(missing))}; run make bench-peers"
        raise FileNotFoundError(message)
    return [litellm(folder, [upstream]), portkey([upstream])]


def litellm(folder: Path, upstreams: list[str], *, group: bool = False) -> Peer:
    """One worker, and whatever its defaults are. With several upstreams the later ones are fallbacks
    of the first one; or, as a `group`, deployments of one name, of which it chooses at random."""
    config = folder / "litellm.yaml"
    config.write_text(litellm_config(upstreams, group=group), encoding="utf-8")
    port = free_port()
    where = ("--host", "127.0.0.1", "--port", str(port))
    return Peer(
        name="litellm group" if group else "litellm",
        command=(str(LITELLM), "--config", str(config), *where, "--num_workers", "1"),
        port=port,
        ready_path="/health/readiness",
        environment={
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOG": "ERROR",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
        headers={"authorization": f"Bearer {MASTER_KEY}"},
    )


def litellm_config(upstreams: list[str], *, group: bool = False) -> str:
    # JSON, which is YAML.
    names = ["bench" if group or number == 0 else f"spare-{number}" for number in range(9)]
    deployments = [
        {
            "model_name": name,
            "litellm_params": {
                "model": f"openai/model-{number}",
                "api_base": f"{upstream}/v1",
                "api_key": UPSTREAM_KEY,
            },
        }
        for number, (name, upstream) in enumerate(zip(names, upstreams, strict=False))
    ]
    tree: dict[str, object] = {
        "model_list": deployments,
        "general_settings": {"master_key": MASTER_KEY},
    }
    if len(upstreams) > 1 and not group:
        tree["litellm_settings"] = {"fallbacks": [{"bench": names[1 : len(upstreams)]}]}
    return json.dumps(tree, indent=1)


def portkey(upstreams: list[str]) -> Peer:
    """Its targets come with each request; several are its `fallback` strategy."""
    port = free_port()
    return Peer(
        name="portkey",
        command=(shutil.which("node") or "node", str(PORTKEY), f"--port={port}", "--headless"),
        port=port,
        ready_path="/",
        environment={"NODE_ENV": "production"},
        headers={"authorization": f"Bearer {UPSTREAM_KEY}", **portkey_headers(upstreams)},
    )


def portkey_headers(upstreams: list[str]) -> dict[str, str]:
    if len(upstreams) == 1:
        return {
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"{upstreams[0]}/v1",
        }
    targets = [
        {"provider": "openai", "custom_host": f"{upstream}/v1", "api_key": UPSTREAM_KEY}
        for upstream in upstreams
    ]
    return {"x-portkey-config": json.dumps({"strategy": {"mode": "fallback"}, "targets": targets})}


def free_port() -> int:
    """That was free a moment ago: they cannot be told to take one themselves."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def running(peer: Peer, log: Path, *, core: int | None = None) -> Iterator[Running]:
    """From its being ready to its end. It has `core` for itself where one is given."""
    began = perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            peer.command,
            cwd=log.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT), **peer.environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if core is not None:
        os.sched_setaffinity(process.pid, {core})
    raise_priority(process.pid)
    try:
        while not _answers(peer):
            if process.poll() is not None or perf_counter() > began + peer.start_seconds_max:
                said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                message = f"{peer.name} does not serve: {said}"
                raise RuntimeError(message)
            sleep(0.02)
        yield Running(peer, process.pid, perf_counter() - began)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def raise_priority(pid: int) -> None:
    """Where that is allowed: what else runs on the machine disturbs less."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, PRIORITY)


def _answers(peer: Peer) -> bool:
    connection = HTTPConnection("127.0.0.1", peer.port, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request("GET", peer.ready_path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def mend(text: str) -> str:
    """Portkey's program with the one expression changed. Raises `ValueError` if it is not there."""
    if MENDED in text:
        return text
    if text.count(BROKEN) != 1:
        raise ValueError(
            "Portkey's program has another form: look whether it still has to be mended"
        )
    return text.replace(BROKEN, MENDED)


if __name__ == "__main__":  # Of `make bench-peers`: python -m tests.benchmarks.peers FILE
    program = Path(sys.argv[1])
    program.write_text(mend(program.read_text(encoding="utf-8")), encoding="utf-8")
