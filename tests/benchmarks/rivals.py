"""Gateways of others as subjects: how peers.py starts them, with the routes that are measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.benchmarks import peers
from tests.benchmarks.peers import Peer
from tests.benchmarks.subjects import BASE, FALLS_BACK, Kind, Stage, Subject, running

ROUTES = frozenset({"bench", "bench-fallback"})
SETTLE_SECONDS = 0.5
TOO_MANY = frozenset({"held-1000", "held-3000", "rate-100", "rate-500"})
"""Scenarios that leave LiteLLM's proxy with minutes of work: it serves about fifty a second."""
LITELLM_PER_SECOND = 20


def kinds() -> list[Kind]:
    there = peers.installed()
    roles = frozenset({BASE, FALLS_BACK})

    def cannot(name: str) -> str:
        return "" if name in there else "not installed: run `make bench-peers`"

    return [
        Kind("portkey", portkey, roles, frozenset({"held-3000"}), cannot("portkey")),
        Kind("litellm", litellm, roles, TOO_MANY, cannot("litellm")),
    ]


@contextmanager
def portkey(stage: Stage) -> Iterator[Subject]:
    """Its targets come with each request."""
    peer = peers.portkey([stage.upstream])
    fallback = peers.portkey_headers([f"{stage.upstream}/s429", stage.upstream])
    plain = peers.portkey_headers([stage.upstream])
    key = {name: value for name, value in peer.headers.items() if name not in plain}
    with _running(stage, replace(peer, headers={**key, **plain})) as subject:
        yield replace(
            subject, headers=key, route_headers={"bench": plain, "bench-fallback": fallback}
        )


@contextmanager
def litellm(stage: Stage) -> Iterator[Subject]:
    """With fallbacks, and without retries and cooldowns: each request falls back."""
    folder = stage.own("litellm")
    peer = peers.litellm(folder, [stage.upstream])
    config = json.loads((folder / "litellm.yaml").read_text(encoding="utf-8"))
    [good] = config["model_list"]
    bad = {**good["litellm_params"], "api_base": f"{stage.upstream}/s429/v1"}
    config["model_list"].append({"model_name": "bench-fallback", "litellm_params": bad})
    config["litellm_settings"] = {"fallbacks": [{"bench-fallback": ["bench"]}], "num_retries": 0}
    config["router_settings"] = {"disable_cooldowns": True, "num_retries": 0}
    (folder / "litellm.yaml").write_text(json.dumps(config), encoding="utf-8")
    with _running(stage, peer) as subject:
        yield replace(subject, failover_per_second=LITELLM_PER_SECOND)


@contextmanager
def _running(stage: Stage, peer: Peer) -> Iterator[Subject]:
    with running(
        peer.name,
        peer.command,
        folder=stage.own(peer.name),
        port=peer.port,
        environ=peer.environment,
        headers=peer.headers,
        start_seconds_max=peer.start_seconds_max,
    ) as subject:
        yield replace(subject, routes=ROUTES, settle_seconds=SETTLE_SECONDS)
