from __future__ import annotations

from gateway.config_file import masked
from gateway.events import Failure
from gateway.routing.choosing import Wanted
from gateway.routing.cooldown import Trigger
from gateway.routing.resting import Blamed
from tests.gateway.api.serving import Api, api


async def test_health_says_ok_and_readiness_ends_with_the_request_to_stop() -> None:
    async with api() as a:
        assert await a.get("/healthz") == (200, {"status": "ok"})
        assert await a.get("/readyz") == (
            200,
            {"status": "ready", "targets_ready": {"coder": 2}, "store": "ok"},
        )
        a.context.ready = False
        status, body = await a.get("/readyz")
        assert (status, body["status"]) == (503, "stopping")
        assert (await a.get("/healthz"))[0] == 200


async def test_no_upstream_and_no_store_keeps_the_gateway_from_being_ready() -> None:
    async with api() as a:
        limit_all(a)
        a.history.store = lambda: {  # type: ignore[method-assign]
            "ok": False,
            "path": "x.db",
            "bytes": 0,
            "last_error": "no disk",
        }
        assert await a.get("/readyz") == (
            200,
            {"status": "ready", "targets_ready": {"coder": 1}, "store": "failing"},
        )
        _, status = await a.get("/api/v1/status")
        assert (status["store"]["ok"], status["store"]["last_error"]) == (False, "no disk")


def limit_all(a: Api) -> None:
    """Every credential of the first target is at its limit."""
    pool, now = a.context.pool, a.context.clock.now()
    route = pool.routes["coder"]
    wanted = Wanted(dialect="openai")
    for n in range(2):
        candidate = pool.choose(route, wanted, now).candidate
        assert candidate is not None
        wanted.tried.add(candidate.key)
        blamed = Blamed(Failure.RATE_LIMITED, None, 50.0)
        trigger = Trigger("rate_limited", "r", f"r.{n}")
        a.context.emit(pool.bad(route, candidate, blamed, probe=False, now=now, trigger=trigger))


async def test_the_status_tells_of_everything_that_rests() -> None:
    async with api() as a:
        limit_all(a)
        _, status = await a.get("/api/v1/status")
        assert status["version"] == "1.2.3"
        assert status["config_version"] == "v1"
        assert status["uptime_seconds"] >= 5
        assert status["now"] > status["started"]
        [route] = status["routes"]
        assert [(each["target"], each["state"]) for each in route["targets"]] == [
            ("sunny/large", "cooling"),
            ("bare/any", "ready"),
        ]
        assert [(each["credential"], each["source"]) for each in status["cooldowns"]] == [
            ("main", "stated"),
            ("spare", "stated"),
        ]
        for each in status["cooldowns"]:
            assert each["until"] > status["now"]
            assert 49 < each["remaining_seconds"] <= 55
            assert each["reason"] == "rate_limited"
        names = [provider["provider"] for provider in status["providers"]]
        assert names == ["sunny", "bare"]
        assert status["sinks"]["storage"]["dropped"] == 0
        assert status["store"]["ok"] is True


async def test_the_configuration_is_shown_as_it_is_masked() -> None:
    async with api() as a:
        shown = {"version": "v1", "config": masked(a.context.config)}
        assert await a.get("/api/v1/config") == (200, shown)


async def test_metrics_are_made_for_whoever_asks_and_may_be_off() -> None:
    async with api() as a:
        headers = {"accept": "application/openmetrics-text"}
        async with a.http.get(f"{a.url}/metrics", headers=headers) as response:
            assert await response.text() == "# application/openmetrics-text\n"
    async with api({"telemetry": {"prometheus": False}}) as a:
        assert (await a.get("/metrics"))[0] == 404
