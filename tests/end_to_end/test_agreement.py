"""Rows, metrics, spans and the upstreams' own counts agree exactly, whatever happened."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.end_to_end import weather
from tests.end_to_end.gateways import (
    DATABASE,
    Series,
    Served,
    anthropic,
    gateway,
    openai,
    settings_of,
)
from tests.end_to_end.neighbours import collector, said
from tests.upstream import ScriptedUpstream

SEED = 20261125
REQUESTS = 1000
PAGE = 37
SPANS_SECONDS = 30.0
"""For all of them to be sent."""
ROUNDING_MICROS = 1000
"""Ends are told by the monotonic clock and stored in Unix time."""
STREAM = ("requests", "attempts", "switches", "events")
TABLES = (*STREAM, "cooldowns")
MODELS = ["coder"] * 6 + ["writer"] * 6 + ["a/large", "c/large", "b/unlisted"]
STABILITY = {
    "rate_limited_base_seconds": 0.2,
    "rate_limited_cap_seconds": 1,
    "quota_exhausted_base_seconds": 0.3,
    "quota_exhausted_cap_seconds": 1,
    "auth_base_seconds": 0.3,
    "auth_cap_seconds": 1,
    "breaker_base_seconds": 0.2,
    "breaker_cap_seconds": 0.5,
    "ladder_decay_seconds": 0.5,
    "cooldown_min_seconds": 0.3,
    "cooldown_multiplier": 1,
    "long_unavailable_seconds": 0.2,
}
TIMEOUTS = {"headers_seconds": 0.4, "first_content_seconds": 0.4, "idle_seconds": 0.4}

Rows = list[dict[str, Any]]


@dataclass
class Told:
    """What each of the witnesses says."""

    seen: weather.Seen
    hits: Counter[str]
    series: Series
    status: dict[str, Any]
    api: dict[str, Rows]
    sql: dict[str, Rows]
    spans: list[Span]

    @property
    def attempts(self) -> Rows:
        return [row for row in self.sql["attempts"] if row["outcome"] != "skipped"]


@asynccontextmanager
async def stormy(
    folder: Path, otlp: str
) -> AsyncIterator[tuple[Served, Sequence[ScriptedUpstream]]]:
    async with ScriptedUpstream() as a, ScriptedUpstream() as b, ScriptedUpstream() as c:
        rng = Random(SEED)
        for upstream in (a, b, c):
            weather.forecast(upstream, rng)
        providers = {
            "a": openai(a, "a1", "a2", "a3", timeouts=TIMEOUTS),
            "b": openai(b, "b1", "b2", timeouts=TIMEOUTS, rotation="balanced"),
            "c": anthropic(c, "c1", "c2", timeouts=TIMEOUTS, rotation="least_in_flight"),
            "d": anthropic(a, "d1", "d2", timeouts=TIMEOUTS),
        }
        routes = {
            "coder": ["a/large", "c/large", "b/large"],
            "writer": ["c/large", "d/large", "a/small"],
        }
        settings = settings_of(
            providers,
            routes,
            stability=STABILITY,
            fallback={"compatible": {"a": ["b"], "c": ["d"]}},
            telemetry={"otlp_endpoint": otlp},
        )
        async with gateway(folder, settings) as g:
            yield g, (a, b, c)


async def told(folder: Path) -> Told:
    async with collector() as otlp, stormy(folder, otlp.url) as (g, upstreams):
        todo = weather.errands(Random(SEED), REQUESTS, MODELS)
        seen = await weather.run(g.client, todo)
        # Until the last cooldown is over nothing more can happen.
        status = await g.client.until("status", lambda found: not found["cooldowns"])
        await g.settled()
        assert await g.context.spine.settled("traces", SPANS_SECONDS)
        return Told(
            seen=seen,
            hits=Counter(hit.key.removeprefix("sk-") for each in upstreams for hit in each.hits),
            series=await g.client.metrics(),
            status=status,
            api={table: await g.client.all(table, limit=PAGE) for table in TABLES},
            sql=tables(folder / DATABASE),
            spans=otlp.spans,
        )


def tables(path: Path) -> dict[str, Rows]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return {
            table: [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY id")]
            for table in TABLES
        }


def count(rows: Rows, *columns: str) -> dict[tuple[str, ...], float]:
    return dict(Counter(tuple(str(row[name] or "") for name in columns) for row in rows))


async def test_rows_metrics_and_hit_counts_agree(tmp_path: Path) -> None:
    t = await told(tmp_path)
    clients_and_rows_agree(t)
    upstreams_and_rows_agree(t)
    pages_and_tables_agree(t)
    metrics_and_rows_agree(t)
    spans_and_rows_agree(t)
    no_event_is_lost(t)
    every_cooldown_has_its_cause(t)
    every_request_is_consistent(t)
    resting_keys_are_left_alone(t)
    everything_is_given_back(t)


def clients_and_rows_agree(t: Told) -> None:
    rows = {row["request_id"]: row for row in t.sql["requests"]}
    assert len(rows) == len(t.sql["requests"]) == REQUESTS
    assert len(t.seen.answers) + t.seen.hung_up == REQUESTS
    for got in t.seen.answers:
        row = rows.pop(got.request_id)
        assert row["status"] == got.status
        assert row["attempts"] == int(got.headers["x-evenkeel-attempts"])
        assert row["provider"] == got.headers.get("x-evenkeel-provider", "")
        assert row["fallback_from"] == got.headers.get("x-evenkeel-fallback-from", "")
        assert row["fallback_reason"] == got.headers.get("x-evenkeel-fallback-reason", "")
    assert len(rows) == t.seen.hung_up
    # The weather was bad enough for the rest of this file to mean something.
    outcomes = count(t.sql["requests"], "outcome")
    assert len(outcomes) >= 4, outcomes
    assert len(count(t.attempts, "failure")) >= 8
    assert len(t.sql["switches"]) >= 5
    assert len(count(t.sql["cooldowns"], "scope", "source")) >= 4


def upstreams_and_rows_agree(t: Told) -> None:
    assert Counter(row["credential"] for row in t.attempts) == t.hits


def pages_and_tables_agree(t: Told) -> None:
    for table in ("requests", "attempts", "switches", "cooldowns"):
        assert [row["id"] for row in t.api[table]] == [row["id"] for row in t.sql[table]]
    everything = sorted(row["id"] for table in STREAM for row in t.sql[table])
    assert [row["id"] for row in t.api["events"]] == everything


def metrics_and_rows_agree(t: Told) -> None:
    s, requests = t.series, t.sql["requests"]
    routed = [row for row in requests if row["route"]]
    known = {"large", "small"}
    attempts = [{**row, "model": _known(row["model"], known)} for row in t.attempts]
    switches = [_hops(row) for row in t.sql["switches"]]
    assert s.by("evenkeel_requests_total", "route", "outcome") == count(
        requests, "route", "outcome"
    )
    assert s.total("evenkeel_request_duration_seconds_count") == REQUESTS
    assert s.total("evenkeel_rescues_total") == sum(
        row["outcome"] == "ok" and row["failure"] is not None for row in routed
    )
    assert s.total("evenkeel_fallbacks_total") == sum(
        bool(row["fallback_from"] and row["provider"]) for row in routed
    )
    assert s.by("evenkeel_attempts_total", "provider", "model", "outcome", "failure") == count(
        attempts, "provider", "model", "outcome", "failure"
    )
    assert s.by("evenkeel_attempt_duration_seconds_count", "provider") == count(
        attempts, "provider"
    )
    assert s.by("evenkeel_switches_total", "route", "from", "to", "kind", "reason") == count(
        switches, "route", "from", "to", "kind", "reason"
    )
    assert s.total("evenkeel_reversals_total") == sum(row["reversal"] for row in switches)
    # The metric counts beginnings; a rest that was extended has the later source in its row.
    extended = any(row["kind"] == "cooldown_extended" for row in t.sql["events"])
    told = (
        ("provider", "scope", "reason") if extended else ("provider", "scope", "reason", "source")
    )
    assert s.by("evenkeel_cooldowns_total", *told) == count(t.sql["cooldowns"], *told)
    assert s.total("evenkeel_relapses_total") == sum(
        row["relapse"] or 0 for row in t.sql["cooldowns"]
    )
    assert s.by("evenkeel_rotations_total", "provider", "reason") == dict(rotations(t.attempts))
    for kind in ("input", "output"):
        tokens = sum(row[f"{kind}_tokens"] or 0 for row in t.attempts)
        assert s.total("evenkeel_tokens_total", kind=kind) == tokens


def spans_and_rows_agree(t: Told) -> None:
    """Every request and attempt has its span, nothing has two, and they say the same."""
    of_kind: dict[int, list[Span]] = defaultdict(list)
    for span in t.spans:
        of_kind[span.kind].append(span)
    servers, clients = of_kind[Span.SPAN_KIND_SERVER], of_kind[Span.SPAN_KIND_CLIENT]
    inner = of_kind[Span.SPAN_KIND_INTERNAL]
    assert {span.span_id.hex(): said(span)["http.response.status_code"] for span in servers} == {
        row["span_id"]: row["status"] for row in t.sql["requests"]
    }
    assert len(servers) == REQUESTS
    assert {span.span_id.hex(): said(span)["evenkeel.attempt_id"] for span in clients} == {
        row["span_id"]: row["attempt_id"] for row in t.attempts
    }
    assert len(clients) == len(t.attempts)
    for attribute, column in (
        ("evenkeel.outcome", "outcome"),
        ("error.type", "failure"),
        ("evenkeel.credential", "credential"),
    ):
        told = Counter(str(said(span).get(attribute, "")) for span in clients)
        assert told == Counter(row[column] or "" for row in t.attempts)
    for kind in ("input", "output"):
        tokens = sum(said(span).get(f"gen_ai.usage.{kind}_tokens", 0) for span in clients)
        assert tokens == t.series.total("evenkeel_tokens_total", kind=kind)
    begun = Counter(span.name.partition(" ")[0] for span in inner)
    assert begun["chat"] == sum(bool(row["route"]) for row in t.sql["requests"])
    assert begun["switch"] == len(t.sql["switches"])
    assert begun["cooldown"] == len(t.sql["cooldowns"])
    assert begun["probe"] == sum(row["probe"] for row in t.attempts)
    within = Counter(event.name for span in inner for event in span.events)
    skipped = sum(row["outcome"] == "skipped" for row in t.sql["attempts"])
    assert within["evenkeel.candidate_skipped"] == skipped
    assert t.series.total("evenkeel_spans_dropped_total") == 0


def rotations(attempts: Rows) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for tried in by_request(attempts).values():
        for before, after in pairwise(tried):
            same = (before["provider"], before["model"]) == (after["provider"], after["model"])
            if same and before["credential"] != after["credential"]:
                found[before["provider"], before["failure"]] += 1
    return found


def no_event_is_lost(t: Told) -> None:
    stream = [row for table in STREAM for row in t.sql[table]]
    assert len({row["boot_id"] for row in stream}) == 1
    assert sorted(row["seq"] for row in stream) == list(range(1, len(stream) + 1))
    assert t.series.total("evenkeel_events_written_total") == len(stream)
    assert t.series.total("evenkeel_events_dropped_total") == 0
    assert t.series.total("evenkeel_sink_failures_total") == 0
    assert not (Path(t.status["store"]["path"] + ".rescued.jsonl")).exists()


def every_cooldown_has_its_cause(t: Told) -> None:
    attempts = {row["attempt_id"]: row for row in t.attempts}
    requests = {row["request_id"] for row in t.sql["requests"]}
    for row in t.sql["cooldowns"]:
        assert row["request_id"] in requests
        assert row["ended"] in ("expired", "probe", "superseded"), row
        assert row["ended"] == "expired" or row["source"] != "stated"
        if row["ended"] == "expired":
            assert row["ended_at"] >= row["until"] - ROUNDING_MICROS
        if row["source"] == "hold" and not row["trigger_attempt_id"]:
            continue  # Another request found the target resting, and moved the pointer.
        attempt = attempts[row["trigger_attempt_id"]]
        assert attempt["outcome"] == "failed"
        assert attempt["provider"] == row["provider"]
        assert row["reason"] in (attempt["failure"], "pool_wide", "local_network")
        if row["source"] != "hold" and row["reason"] == attempt["failure"]:
            assert attempt["scope"] == row["scope"]
        # An extension brings an end and a source of its own; the trigger stays who began it, and
        # that one may have stated nothing.
        if row["source"] == "stated" and attempt["stated_seconds"] is not None:
            assert row["duration_seconds"] >= attempt["stated_seconds"]
    started = [row for row in t.sql["events"] if row["kind"] == "cooldown_started"]
    ended = [row for row in t.sql["events"] if row["kind"] == "cooldown_ended"]
    assert len(started) == len(ended) == len(t.sql["cooldowns"])


def every_request_is_consistent(t: Told) -> None:
    candidates = by_request(t.sql["attempts"])
    for row in t.sql["requests"]:
        own = candidates.pop(row["request_id"], [])
        assert [each["n"] for each in own] == list(range(1, len(own) + 1))
        tried = [each for each in own if each["outcome"] != "skipped"]
        assert (row["attempts"], row["skipped"]) == (len(tried), len(own) - len(tried))
        assert all(each["outcome"] == "failed" for each in tried[:-1])
        if row["outcome"] == "ok":
            assert tried[-1]["outcome"] == "ok"
            assert tried[-1]["bytes_sent"] == row["bytes_sent"] > 0
        refusals: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for each in tried:
            if each["status"] in (401, 402, 403, 429):
                refusals[each["provider"], each["credential"]].append(each)
        for of_key in refusals.values():
            # Asked again only where the key's limit stated its end, and after that end.
            for before, after in pairwise(of_key):
                assert before["failure"] == "rate_limited"
                end = before["ts"] + round(before["stated_seconds"] * 1_000_000)
                assert after["started"] >= end - ROUNDING_MICROS
    assert not candidates


def resting_keys_are_left_alone(t: Told) -> None:
    """From a key's refusal to the end of its rest no attempt begins on it."""
    starts: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in t.attempts:
        starts[row["provider"], row["credential"]].append(row["started"])
    for row in t.sql["cooldowns"]:
        if row["scope"] == "credential":
            end = min(row["until"], row["ended_at"])
            within = range(row["started"] + 1, end - ROUNDING_MICROS)
            assert not [at for at in starts[row["provider"], row["credential"]] if at in within]


def everything_is_given_back(t: Told) -> None:
    assert t.status["internal_errors"] == 0
    for provider in t.status["providers"]:
        assert provider["in_flight"] == 0
        assert {each["in_flight"] for each in provider["credentials"]} == {0}


def by_request(rows: Rows) -> dict[str, Rows]:
    found: dict[str, Rows] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["n"]):
        found[row["request_id"]].append(row)
    return found


def _known(model: str, known: set[str]) -> str:
    return model if model in known else "other"


def _hops(row: dict[str, Any]) -> dict[str, Any]:
    """Targets of direct requests are told by their provider alone."""
    if row["route"] != "direct":
        return row
    return {**row, **{end: row[end].partition("/")[0] + "/*" for end in ("from", "to")}}
