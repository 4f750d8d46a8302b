"""A gateway for the command line's tests: a real server that tells a fixed state and history."""

from __future__ import annotations

import json
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

NOW = 1_795_435_200_000_000
S = 1_000_000
KEY = "sesame"
REQUEST_ID = "01JXW3Q8ZK4M2C7T9V5B6N1H0E"


def target(
    name: str, *, active: bool, state: str, reason: str = "", left: int = 0, penalty: float = 0.0
) -> Any:
    return {
        "target": name,
        "provider": name.split("/")[0],
        "model": name.split("/")[1],
        "active": active,
        "state": state,
        "reason": reason,
        "until": NOW + left * S if left else None,
        "ready_in_seconds": float(left),
        "credentials_ready": 1,
        "credentials": 2,
        "penalty": penalty,
        "suppressed": penalty >= 2000,
        "good_answers": 0,
    }


STATUS: dict[str, Any] = {
    "version": "0.1.0",
    "config_version": "9f2c41d07ab3",
    "boot_id": "boot",
    "now": NOW,
    "started": NOW - 90 * S,
    "uptime_seconds": 90.0,
    "demo": True,
    "config_path": None,
    "store": {
        "ok": True,
        "path": "evenkeel.db",
        "queued_events": 0,
        "dropped": 0,
        "last_error": "",
    },
    "routes": [
        {
            "route": "coder",
            "active": "cloudy/b",
            "active_since": NOW - 61 * S,
            "dwell_seconds": 61.0,
            "flapping": True,
            "pinned": "cloudy/b",
            "pinned_until": NOW + 3600 * S,
            "moves_left": 1.5,
            "sessions": 12,
            "waiting": 1,
            "targets": [
                target(
                    "sunny/a",
                    active=False,
                    state="cooling",
                    reason="overloaded",
                    left=47,
                    penalty=2600.4,
                ),
                target("cloudy/b", active=True, state="ready"),
            ],
        }
    ],
    "providers": [
        {
            "provider": "sunny",
            "dialect": "openai",
            "in_flight": 0,
            "credentials": [
                {
                    "credential": "main",
                    "priority": 1,
                    "state": "cooling",
                    "reason": "rate_limited",
                    "until": NOW + 20 * S,
                    "in_flight": 0,
                    "used": 7,
                }
            ],
        }
    ],
    "cooldowns": [
        {
            "cooldown_id": "c1",
            "scope": "target",
            "route": "",
            "provider": "sunny",
            "model": "a",
            "credential": "",
            "reason": "overloaded",
            "source": "ladder",
            "started": NOW,
            "until": NOW + 47 * S,
            "remaining_seconds": 47.0,
            "level": 2,
        }
    ],
}


EXPLANATION: dict[str, Any] = {
    "model": "coder",
    "at": NOW,
    "route": "coder",
    "active": "cloudy/b",
    "choice": {"target": "cloudy/b", "credential": "team", "probe": False},
    "wait_seconds": None,
    "candidates": [
        {
            "target": "sunny/a",
            "credential": "main",
            "state": "cooling",
            "reason": "cooling: overloaded",
            "until": NOW + 47 * S,
            "ready_in_seconds": 47.0,
        },
        {
            "target": "cloudy/b",
            "credential": "team",
            "state": "ready",
            "reason": "chosen: pointer",
            "until": None,
            "ready_in_seconds": 0.0,
        },
    ],
}


def switched(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "ts": NOW + number * S,
        "kind": "switched",
        "switch": "forced",
        "request_id": REQUEST_ID,
        "route": "coder",
        "from": "sunny/a",
        "to": "cloudy/b",
        "reason": "overloaded",
        "dwell_seconds": 61.0,
        "reversal": False,
    }


def candidate(n: int, outcome: str, **values: Any) -> dict[str, Any]:
    return {"n": n, "target": "sunny/a", "credential": "main", "outcome": outcome, **values}


STORY: dict[str, Any] = {
    "request": {
        "request_id": REQUEST_ID,
        "kind": "request_finished",
        "route": "coder",
        "outcome": "ok",
        "status": 200,
        "provider": "cloudy",
        "model": "b",
        "credential": "team",
        "duration_seconds": 3.42,
        "first_content_seconds": 0.9,
        "fallback_from": "sunny/a",
        "fallback_reason": "overloaded",
        "requested_model": "coder",
        "endpoint": "/v1/messages",
        "client": "laptop",
        "started": NOW,
    },
    "candidates": [
        candidate(
            1, "failed", failure="overloaded", status=529, started=NOW, duration_seconds=0.42
        ),
        candidate(
            2,
            "skipped",
            ts=NOW + 420_000,
            reason="cooling",
            cause="rate_limited",
            until=NOW + 20 * S,
        ),
        candidate(3, "ok", status=200, started=NOW + 500_000, duration_seconds=2.91),
    ],
}


class StubGateway:
    """Keeps what it was asked. With `key`, answers only to who shows it."""

    def __init__(self, *, key: str = "") -> None:
        self.key = key
        self.events = [switched(1), switched(2)]
        self.tailed: list[list[dict[str, Any]]] = []
        """What each tail in turn sends before the connection is closed; after the last one 503."""
        self.asked: list[web.Request] = []
        self.acted: list[tuple[str, Any, dict[str, str]]] = []
        """Path, body and headers of each act."""
        self.changes: list[str] = []
        self.refusal: web.Response | None = None
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        app.router.add_post("/{path:.*}", self._act)
        self._server = TestServer(app, host="127.0.0.1")

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return _error(401, "The admin key is missing or wrong.")
        match request.path:
            case "/api/v1/status":
                return web.json_response(STATUS)
            case "/api/v1/explain":
                return web.json_response(EXPLANATION)
            case "/api/v1/events" if request.headers.get("Accept") == "text/event-stream":
                return await self._tail(request)
            case "/api/v1/events" if request.query.get("kind") == "nonsense":
                return _error(400, "unknown kind 'nonsense'")
            case "/api/v1/events":
                return web.json_response({"items": self.events[::-1], "next_cursor": None})
            case path if path == f"/api/v1/requests/{REQUEST_ID}":
                return web.json_response(STORY)
            case "/page/api/v1/status":
                return web.Response(text="<html>", content_type="text/html")
            case _:
                return _error(404, "No request is called that.")

    async def _act(self, request: web.Request) -> web.Response:
        self.acted.append((request.path_qs, await request.json(), dict(request.headers)))
        if self.refusal is not None:
            return self.refusal
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return _error(401, "The admin key is missing or wrong.")
        if request.path == "/api/v1/reload":
            return web.json_response({"config_version": "new", "changes": self.changes})
        return web.json_response({"done": True, "events": self.events})

    async def _tail(self, request: web.Request) -> web.StreamResponse:
        if not self.tailed:
            return _error(503, "stopping")
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": following\n\n")
        for item in self.tailed.pop(0):
            await response.write(f"id: {item['id']}\ndata: {json.dumps(item)}\n\n".encode())
        return response


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"code": "x", "message": message}}, status=status)
