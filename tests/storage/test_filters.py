from __future__ import annotations

import pytest

from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CandidateSkipped,
    CooldownEnded,
    CooldownStarted,
    DataGap,
    Failure,
    FlappingStarted,
    OperatorActed,
    RequestFinished,
    RequestOutcome,
    Scope,
    SessionMoved,
    Switched,
    SwitchKind,
)
from storage.filters import (
    FILTERS,
    Cursor,
    Filters,
    QueryError,
    checked,
    conditions,
    read_cursor,
    write_cursor,
)
from storage.models import TABLES
from storage.queries import Queries
from storage.writer import Writer
from tests.storage.samples import batch, example, walk


def test_the_filters_are_those_of_the_contract() -> None:
    contract = (
        "since until kind route provider target credential session request_id outcome failure"
    )
    assert set(FILTERS) == set(contract.split())


@pytest.mark.parametrize("table", TABLES)
def test_every_table_can_be_asked_with_every_filter(table: str) -> None:
    for name in FILTERS:
        value = {"kind": "forced", "outcome": "ok"}.get(name, "1")
        asked = checked(table, {name: value}, limit=1, order="asc")
        found = conditions(table, asked, whole=False)
        assert found is None or len(found) == 1


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        ({"provder": "openai"}, "unknown filter 'provder'; did you mean 'provider'"),
        ({"xyzzy": "1"}, "unknown filter 'xyzzy'$"),
        ({"since": "yesterday"}, "since must be Unix microseconds, not 'yesterday'"),
        ({"kind": "switched,cooldown_start"}, "'cooldown_start'; did you mean 'cooldown_started'"),
        ({"outcome": "fine"}, "unknown outcome 'fine'"),
    ],
)
def test_a_filter_that_cannot_be_understood_is_named(filters: Filters, problem: str) -> None:
    with pytest.raises(QueryError, match=problem):
        checked("events", filters, limit=1, order="asc")


@pytest.mark.parametrize(
    ("table", "limit", "order", "problem"),
    [
        ("attempt", 1, "asc", "unknown table 'attempt'; did you mean 'attempts'"),
        ("events", 0, "asc", "limit must be 1 to 1000, not 0"),
        ("events", 1001, "asc", "limit must be 1 to 1000, not 1001"),
        ("events", 1, "up", "order must be asc or desc, not 'up'"),
    ],
)
def test_limits_are_kept(table: str, limit: int, order: str, problem: str) -> None:
    with pytest.raises(QueryError, match=problem):
        checked(table, {}, limit=limit, order=order)


def test_several_values_of_a_set_in_any_order_are_the_same_question() -> None:
    one, other = (
        checked("events", {"kind": kinds}, limit=1, order="asc")
        for kinds in ("switched,data_gap", "data_gap, switched")
    )
    assert one == other


def test_a_cursor_comes_back_as_it_was() -> None:
    for cursor in (Cursor(17, None), Cursor(17, 4)):
        asked = checked("events", {"route": "coder", "since": 5}, limit=1, order="asc")
        text = write_cursor(cursor, table="events", asked=asked, order="asc")
        assert read_cursor(text, table="events", asked=asked, order="asc") == cursor


def test_a_cursor_is_good_for_its_own_query_only() -> None:
    asked = checked("attempts", {"route": "coder"}, limit=1, order="asc")
    other = checked("attempts", {"route": "writer"}, limit=1, order="asc")
    text = write_cursor(Cursor(1, None), table="attempts", asked=asked, order="asc")
    with pytest.raises(QueryError, match="another query"):
        read_cursor(text, table="attempts", asked=other, order="asc")
    with pytest.raises(QueryError, match="another query"):
        read_cursor(text, table="attempts", asked=asked, order="desc")
    with pytest.raises(QueryError, match="another query"):
        read_cursor(text, table="events", asked=asked, order="asc")


@pytest.mark.parametrize(
    "text", ["", "x", "17", "WzEsMl0", "é", "e30", "WzIsMSxudWxsLCJhIl0", "\x00" * 500, "==="]
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="not a cursor"):
        read_cursor(text, table="events", asked={}, order="asc")


EVENTS = (
    example(RequestFinished, request_id="r1", route="coder", outcome=RequestOutcome.OK),
    example(
        AttemptFinished,
        provider="openai",
        model="org/gpt",
        credential="main",
        session="s1",
        outcome=AttemptOutcome.FAILED,
        failure=Failure.OVERLOADED,
    ),
    example(CandidateSkipped, provider="openai", model="gpt"),
    example(
        Switched,
        from_target="openai/org/gpt",
        to_target="anthropic/claude",
        switch=SwitchKind.FORCED,
        reason="overloaded",
    ),
    example(
        CooldownStarted,
        cooldown_id="c1",
        provider="openai",
        model="org/gpt",
        scope=Scope.TARGET,
        reason="overloaded",
    ),
    example(CooldownEnded, cooldown_id="c2", provider="p", model="group", scope=Scope.QUOTA_GROUP),
    example(FlappingStarted, route="coder", target="openai/org/gpt"),
    example(OperatorActed, target="", provider="openai"),
    example(SessionMoved, from_target="open_ai/x", to_target="other/org/gpt"),
    example(DataGap),
)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"kind": "switched"}, [4]),
        ({"kind": "attempt_finished"}, [2]),
        ({"kind": "candidate_skipped,attempt_finished"}, [2, 3]),
        ({"kind": "candidate_skipped,data_gap,request_finished"}, [1, 3, 10]),
        ({"kind": "forced"}, []),
        ({"route": "coder"}, [1, 7]),
        ({"target": "openai/org/gpt"}, [2, 4, 5, 7]),
        ({"target": "p/group"}, []),
        ({"target": "openai/gpt"}, [3]),
        ({"provider": "openai"}, [2, 3, 4, 5, 7, 8]),
        ({"provider": "open_ai"}, [9]),
        ({"provider": "anthropic"}, [4]),
        ({"credential": "main"}, [2]),
        ({"session": "s1"}, [2]),
        ({"request_id": "r1"}, [1]),
        ({"outcome": "failed"}, [2]),
        ({"outcome": "ok,skipped"}, [1, 3]),
        ({"failure": "overloaded"}, [2, 4, 5]),
        ({"failure": "overloaded", "provider": "openai", "kind": "switched"}, [4]),
    ],
)
async def test_filters_over_everything_that_happened(
    writer: Writer, queries: Queries, filters: Filters, expected: list[int]
) -> None:
    await writer.take(batch(*EVENTS))
    found = await walk(queries, "events", filters=filters)
    assert [item["id"] for item in found] == expected


@pytest.mark.parametrize(
    ("table", "filters", "expected"),
    [
        ("switches", {"kind": "forced"}, 1),
        ("switches", {"kind": "return"}, 0),
        ("switches", {"provider": "anthropic"}, 1),
        ("switches", {"outcome": "ok"}, 0),
        ("attempts", {"kind": "candidate_skipped"}, 1),
        ("attempts", {"outcome": "skipped"}, 1),
        ("requests", {"kind": "switched"}, 0),
        ("requests", {"kind": "request_finished"}, 1),
        ("cooldowns", {"failure": "overloaded"}, 1),
        ("cooldowns", {"kind": "cooldown"}, 2),
        ("cooldowns", {"target": "p/group"}, 0),
        ("cooldowns", {"session": "s1"}, 0),
    ],
)
async def test_filters_within_one_table(
    writer: Writer, queries: Queries, table: str, filters: Filters, expected: int
) -> None:
    await writer.take(batch(*EVENTS))
    assert len(await walk(queries, table, filters=filters)) == expected
