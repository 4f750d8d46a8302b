"""The gateway's configuration in the benchmarks: a route for each thing that is measured."""

from __future__ import annotations

import json
from typing import Any

from tests.benchmarks.http_bytes import CLIENT_KEY

RESTLESS = {
    "damping": "off",
    "rate_limited_base_seconds": 0.001,
    "rate_limited_cap_seconds": 0.001,
    "breaker_failures": 1_000_000,
    "breaker_min_outcomes": 1_000_000,
    "cooldown_min_seconds": 0,
    "cooldown_multiplier": 0,
    "penalty_departure": 0,
    "penalty_probe": 0,
    "probe_gap_seconds": 0.001,
    "probe_gap_max_seconds": 0.001,
    "guard_credentials": 1_000,
}
NEVER_WAITS = {"wait_max_seconds": 0, "wait_base_seconds": 0}
"""No rest lasts: each request tries what failed before, and has to leave it again."""


_TARGETS: dict[str, tuple[str, ...]] = {
    "bench": ("first/model-a", "second/model-a"),
    "bench-fallback": ("restless/model-a", "first/model-a"),
    "bench-sticky": ("limited/model-a", "first/model-a"),
    "bench-rotation": ("keys/model-a", "first/model-a"),
    "bench-translated-chat": ("messages/model-a",),
    "bench-translated-messages": ("first/model-a",),
}
ROUTES = frozenset(_TARGETS)


def gateway_config(upstream: str, *, traced: bool = True) -> str:
    """As JSON, which is YAML too. Two targets of two keys; all sinks on, one trace in twenty."""
    telemetry: dict[str, Any] = {"log_format": "console"}
    if traced:
        telemetry |= {"otlp_endpoint": upstream, "trace_sample_ratio": 0.05}
    return json.dumps(
        {
            "server": {"host": "127.0.0.1", "port": 0, "drain_seconds": 1},
            "auth": {"clients": [{"name": "benchmark", "key": CLIENT_KEY}]},
            "providers": _providers(upstream),
            "routes": [_route(name) for name in _TARGETS],
            "storage": {"url": "sqlite+aiosqlite:///benchmark.db"},
            "telemetry": telemetry,
        }
    )


def _providers(upstream: str) -> dict[str, Any]:
    good, limited = f"{upstream}/v1", f"{upstream}/s429/v1"
    return {
        "first": _provider(good, "key-one", "key-two"),
        "second": _provider(good, "key-one", "key-two"),
        "limited": _provider(limited, "key-one"),
        "restless": _provider(limited, "key-one", stability=RESTLESS),
        "keys": _provider(good, "limited-key", "key-two", stability=RESTLESS),
        "messages": _provider(upstream, "key-one", dialect="anthropic"),
    }


def _provider(url: str, *keys: str, dialect: str = "openai", **more: Any) -> dict[str, Any]:
    credentials = [{"name": f"k{place}", "key": key} for place, key in enumerate(keys)]
    return {"dialect": dialect, "base_url": url, "credentials": credentials, **more}


def _route(name: str) -> dict[str, Any]:
    return {"name": name, "targets": list(_TARGETS[name]), "stability": NEVER_WAITS}
