"""Times, lengths, tables and sentences; the way back after a lost connection; the file itself."""

from __future__ import annotations

import contextlib
from contextlib import aclosing
from datetime import UTC, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli_asked import Asked, address
from gateway.cli_client import Gateway, Unreachable, tail
from gateway.cli_history import newest, story
from gateway.cli_output import clock_time, length, plain, printable, text
from gateway.cli_sentences import SENTENCES, place, sentence
from gateway.cli_times import moment
from gateway.config import Server, Storage
from gateway.events import Event, Switched
from gateway.units import Secret, Timestamp
from storage.database import open_database
from storage.rows import KINDS, RENAMED
from storage.writer import Writer
from tests.fakes import FakeClock
from tests.gateway.stub_gateway import StubGateway, switched
from tests.storage.samples import batch, example

NOON = Timestamp(1_795_435_200_000_000)
NOBODY = Gateway(url="http://127.0.0.1:9", key=Secret(""))


# -- how things are written ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.424, "0.42 s"),
        (3.42, "3.4 s"),
        (10, "10 s"),
        (60, "1 m"),
        (185.2, "3 m 05 s"),
        (7200, "2 h"),
        (90_000, "1 d 01 h"),
        (None, ""),
    ],
)
def test_lengths_name_the_two_largest_units(seconds: float | None, said: str) -> None:
    assert length(seconds) == said


def test_times_are_iso_to_the_second_with_their_offset() -> None:
    assert clock_time(NOON, zone=UTC) == "2026-11-23T12:00:00+00:00"
    east = timezone(timedelta(hours=5, minutes=30))
    assert clock_time(NOON, zone=east) == "2026-11-23T17:30:00+05:30"
    assert clock_time(None) == ""
    assert clock_time(2**62) == str(2**62)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("90s", NOON - 90_000_000),
        ("30m", NOON - 1_800_000_000),
        ("24h", NOON - 86_400_000_000),
        ("1.5h", NOON - 5_400_000_000),
        ("7d", NOON - 7 * 86_400_000_000),
        ("2026-11-23T11:00:00Z", NOON - 3_600_000_000),
        ("2026-11-23T12:00:00+01:00", NOON - 3_600_000_000),
        ("99999999w", 0),
    ],
)
def test_an_age_or_an_iso_time_is_understood(written: str, meant: int) -> None:
    assert moment(written, now=NOON) == meant


@given(st.text())
def test_any_other_text_is_a_value_error(written: str) -> None:
    with contextlib.suppress(ValueError):
        assert moment(written, now=NOON) >= 0


def test_the_error_of_a_time_shows_how_to_write_one() -> None:
    with pytest.raises(ValueError, match="'soon' is neither an age such as 24h"):
        moment("soon", now=NOON)


def test_what_is_printed_as_a_time_is_understood_as_one() -> None:
    assert moment(clock_time(NOON), now=Timestamp(0)) == NOON


def test_plain_tables_are_aligned_and_end_with_their_last_word() -> None:
    assert plain(("a", "long name"), [("wide cell", ""), ("x", "y")]) == [
        "a          long name",
        "wide cell",
        "x          y",
    ]


def test_foreign_text_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[31mb\n") == "a�[31mb�"
    assert text("\x07") == "�"
    assert "\x1b" not in sentence({"kind": "process_stopped", "reason": "\x1b[2J"})


# -- sentences -----------------------------------------------------------------------------------


def test_every_kind_of_event_has_its_sentence() -> None:
    assert set(SENTENCES) == set(KINDS)


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.kind)
def test_a_sentence_is_one_line_of_known_things(kind: type[Any]) -> None:
    event = example(kind)
    item = {RENAMED.get(name, name): getattr(event, name) for name in kind.__struct_fields__}
    said = sentence({**item, "kind": kind.kind})
    assert said
    assert "?" not in said.removesuffix("the network on this side?")
    assert "None" not in said


def test_a_sentence_stands_even_where_every_field_is_missing() -> None:
    for kind in SENTENCES:
        assert sentence({"kind": kind})


def test_an_event_of_a_newer_gateway_is_shown_with_its_fields() -> None:
    assert sentence({"kind": "tides_turned", "id": 1, "moon": "full"}) == "tides_turned moon=full"


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"action": "reset"}, "ada ended the cooldowns of everything"),
        ({"action": "reset", "provider": "a"}, "ada ended the cooldowns of a"),
        (
            {"action": "reset", "provider": "a", "credential": "k"},
            "ada ended the cooldowns of a [k]",
        ),
        (
            {"action": "rest", "target": "a/x", "until": NOON + 90_000_000},
            "ada let a/x rest for 1 m",
        ),
        ({"action": "drain", "target": "a/x", "until": None}, "ada drained a/x (why)"),
        ({"action": "pin", "target": "a/x", "route": "coder"}, "ada pinned coder to a/x (why)"),
        ({"action": "unpin", "route": "coder"}, "ada unpinned coder (why)"),
        ({"action": "clear_penalty", "route": "coder"}, "ada cleared the penalties of coder"),
        ({"action": "reload"}, "ada had the configuration read again (why)"),
        ({"action": "anchored", "target": "a/x"}, "ada anchored a/x (why)"),
    ],
)
def test_what_an_operator_did_is_said_in_words(item: dict[str, Any], said: str) -> None:
    whole = {"kind": "operator_acted", "ts": NOON, "actor": "ada", "note": "why", **item}
    assert sentence(whole).startswith(said)


def test_a_session_that_only_changed_its_key_is_told_so() -> None:
    item = {"kind": "session_moved", "route": "coder", "from": "a/x", "to": "b/y"}
    keys = {"from_credential": "k1", "to_credential": "k2", "move": "detour"}
    assert sentence({**item, **keys}) == "coder: session moved a/x [k1] → b/y [k2] (detour)"
    assert sentence({**item, **keys, "to": "a/x"}) == (
        "coder: session moved to another key of a/x: k1 → k2 (detour)"
    )


def test_flapping_is_told_with_its_penalty_and_its_longest_time() -> None:
    item = {"kind": "flapping_started", "ts": NOON, "route": "coder", "target": "a/x"}
    assert sentence({**item, "penalty": 2600.4, "until": NOON + 3_600_000_000}) == (
        "coder is flapping because of a/x (penalty 2600, for 1 h at most)"
    )


def test_places_are_named_from_the_largest_to_the_smallest() -> None:
    assert place({"provider": "a", "model": "m", "credential": "k"}) == "a/m [k]"
    assert place({"provider": "a", "model": "pro", "scope": "quota_group"}) == "a, quota group pro"
    assert place({"provider": "a", "model": None}) == "a"


# -- where to ask --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "called"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("box.example", "http://box.example:8080"),
    ],
)
def test_a_gateway_on_all_addresses_is_called_on_this_machine(host: str, called: str) -> None:
    assert address(Server(host=host)) == called


async def test_a_tail_goes_on_where_it_broke_and_tells_each_break_once(clock: FakeClock) -> None:
    async with StubGateway() as stub:
        stub.tailed = [[switched(3)], [], [switched(4)]]
        gateway = Gateway(url=stub.url, key=Secret(""))
        found: list[Any] = []
        async with aclosing(tail(gateway, {}, last_id=2, clock=clock)) as items:
            while len(found) < 5:
                found.append(await clock.drive(anext(items)))
        shown = ["lost" if isinstance(each, Unreachable) else each["id"] for each in found]
        assert shown == [3, "lost", "lost", 4, "lost"]
        after = [each.headers["Last-Event-ID"] for each in stub.asked]
        assert after == ["2", "3", "3"]


async def test_a_tail_that_never_stood_is_an_error(clock: FakeClock) -> None:
    async with aclosing(tail(NOBODY, {}, last_id=None, clock=clock)) as items:
        with pytest.raises(Unreachable):
            await anext(items)


# -- where no gateway runs -----------------------------------------------------------------------


async def filled(folder: Path) -> Asked:
    """A database with two switches, and no gateway."""
    database = await open_database(Storage(), folder=folder)
    assert database.writer is not None
    events = [example(Switched, request_id="r", ts=NOON + n) for n in range(2)]
    await Writer(database.writer).take(batch(*events))
    await database.close()
    return Asked(gateway=NOBODY, storage=Storage(), folder=folder, url_given=False)


async def test_without_a_gateway_the_file_is_read_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = await newest(await filled(tmp_path), {"kind": "switched"}, limit=10)
    assert [item["ts"] for item in items] == [NOON, NOON + 1]
    assert "database file" in capsys.readouterr().err


async def test_an_unknown_request_is_unknown_to_the_file_too(tmp_path: Path) -> None:
    assert await story(await filled(tmp_path), "nobody") is None


async def test_with_neither_gateway_nor_file_both_are_named(tmp_path: Path) -> None:
    asked = Asked(gateway=NOBODY, storage=Storage(), folder=tmp_path, url_given=False)
    with pytest.raises(Unreachable, match=r"no gateway answers at .* and there is no database at"):
        await newest(asked, {}, limit=10)


async def test_a_gateway_that_was_named_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    found = await filled(tmp_path)
    asked = Asked(gateway=NOBODY, storage=Storage(), folder=found.folder, url_given=True)
    with pytest.raises(Unreachable):
        await newest(asked, {}, limit=10)
