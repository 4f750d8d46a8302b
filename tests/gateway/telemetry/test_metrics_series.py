from __future__ import annotations

from random import Random

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.samples import Exemplar

from gateway.telemetry.catalogue import Kind, Metric
from gateway.telemetry.metrics_series import PORTION, Board, Counter, Gauge, Histogram

COUNTER = Metric(name="things_total", kind=Kind.COUNTER, help='Some "things".', labels=("b", "a"))
GAUGE = Metric(name="level", kind=Kind.GAUGE, help="A\nlevel \\ or two.", labels=("z", "kind"))
HISTOGRAM = Metric(
    name="wait_seconds",
    kind=Kind.HISTOGRAM,
    help="Waits.",
    labels=("route", "kind"),
    buckets=(0.1, 0.25, 1.0, 2.5e6),
)
PLAIN = Metric(name="plain_seconds", kind=Kind.HISTOGRAM, help="Plain.", buckets=(0.5,))
ALONE = Metric(name="alone_total", kind=Kind.COUNTER, help="Without labels.")
EMPTY = Metric(name="empty", kind=Kind.GAUGE, help="Nobody's.", labels=("x",))
ALL = (COUNTER, GAUGE, HISTOGRAM, PLAIN, ALONE, EMPTY)
HOSTILE = ("plain", "", 'a"b', "back\\slash", "two\nlines", "é ü 漢", "/v1/x y")
AMOUNTS = (0.0, 0.1, 0.25, 1, 3.5e-7, 999_999, 1_000_000, 1234567.25, 1e15, 1e22)


def same(board: Board) -> None:
    """The text is prometheus-client's own, byte by byte."""
    registry = CollectorRegistry()
    registry.register(board)
    assert board.text(openmetrics=False).encode() == generate_latest(registry)
    ours = f"{board.text(openmetrics=True)}# EOF\n".encode()
    assert ours == generate_openmetrics(registry)  # type: ignore[no-untyped-call]


def exemplar(number: int) -> Exemplar:
    return Exemplar({"trace_id": f"{number:032x}", "span_id": f"{number:016x}"}, 0.5, number / 8)


def count_something(board: Board, rng: Random) -> None:
    metric = rng.choice([COUNTER, GAUGE, HISTOGRAM, PLAIN, ALONE])
    series = board.at(metric, tuple(rng.choice(HOSTILE) for _ in metric.labels))
    amount = rng.choice(AMOUNTS)
    told = exemplar(rng.randrange(99)) if rng.random() < 0.3 else None
    match series:
        case Gauge():
            series.set(rng.choice((amount, -amount, float("inf"), float("nan"))))
        case Counter():
            series.inc(amount or 1, told)
        case Histogram():
            series.observe(amount, told)


@pytest.mark.parametrize("seed", range(5))
def test_the_text_is_what_prometheus_client_would_write_at_every_moment(seed: int) -> None:
    board, rng = Board(ALL), Random(seed)
    same(board)
    for _ in range(30):
        for _ in range(rng.randrange(12)):
            count_something(board, rng)
        same(board)


def test_a_series_that_is_gone_is_in_no_text() -> None:
    board = Board(ALL)
    gauge = board.at(GAUGE, ("here", "x"))
    assert isinstance(gauge, Gauge)
    gauge.set(3)
    assert 'kind="x"' in board.text(openmetrics=False)
    board.remove(GAUGE, ("here", "x"))
    board.remove(GAUGE, ("never", "x"))
    assert 'kind="x"' not in board.text(openmetrics=False)
    same(board)


def test_a_series_is_made_once() -> None:
    board = Board(ALL)
    assert board.at(COUNTER, ("1", "2")) is board.at(COUNTER, ("1", "2"))


def test_many_series_come_in_the_order_of_their_making() -> None:
    board = Board(ALL)
    for number in range(3 * PORTION):
        board.at(COUNTER, (str(number), ""))
    lines = board.text(openmetrics=False).splitlines()
    found = [line.partition('b="')[2].partition('"')[0] for line in lines if 'b="' in line]
    assert found == [str(number) for number in range(3 * PORTION)]
