from __future__ import annotations

from tests.benchmarks.faulty import Arrival, Fault
from tests.benchmarks.leaving import WINDOW, Observed, alternations, figures, percentile
from tests.benchmarks.steady import Answer

PLAIN_FROM, BEGAN, ENDED = 0.0, 10.0, 20.0
EVERY = 0.1


def answer(number: int, *, by: str = "first", took: float = 0.002, whole: bool = True) -> Answer:
    sent = number * EVERY
    return Answer(number, sent, sent + took, 200 if whole else 502, whole, by if whole else "")


def arrivals(*numbers: int, fault: Fault = Fault.ERROR) -> list[Arrival]:
    return [Arrival(number * EVERY + 0.001, number, fault) for number in numbers]


def seen(answers: list[Answer], came: list[Arrival]) -> Observed:
    return Observed(answers=answers, arrivals=came, plain_from=PLAIN_FROM, began=BEGAN, ended=ENDED)


def a_day(*, lost: tuple[int, ...] = (), rescued: tuple[int, ...] = (), back: int) -> list[Answer]:
    """400 requests: the first provider serves until 10 s and again from number `back` on."""
    found = []
    for number in range(1, 400):
        here = number < 100 or number >= back
        took = 0.006 if number in rescued else 0.002
        by = "first" if here else "second"
        found.append(answer(number, by=by, took=took, whole=number not in lost))
    return found


def test_a_provider_that_is_left_at_once() -> None:
    answers = a_day(lost=(100,), rescued=(101, 102), back=250)
    came = arrivals(*range(1, 100), fault=Fault.NONE) + arrivals(100, 101, 102, 102, 150)
    found = figures(seen(answers, came))
    assert (found.requests, found.lost) == (100, 1)
    assert (found.met, found.met_later, found.attempts_failed) == (3, 1, 5)
    assert found.leave_seconds is not None
    assert round(found.leave_seconds, 3) == 0.2
    assert found.settled_seconds is not None
    assert round(found.settled_seconds, 3) == 0.205
    assert found.lost_last_seconds == 0.0
    assert found.rescued == 3
    assert found.return_seconds is not None
    assert round(found.return_seconds, 3) == round((250 - 200 - WINDOW * 0.2) * EVERY, 3)
    assert found.plain_p50_ms == 2.0
    assert found.rescued_p50_ms == 6.0


def test_a_provider_that_is_never_left() -> None:
    answers = a_day(lost=tuple(range(100, 200)), back=0)
    found = figures(seen(answers, arrivals(*range(100, 200))))
    assert found.lost == 100
    assert found.met == 100
    assert found.leave_seconds is found.settled_seconds is found.met_later is None
    assert found.return_seconds == 0.0
    assert found.rescued == 0
    assert found.rescued_p50_ms is found.fault_p50_ms is None


def test_where_nobody_saw_the_attempts_nothing_is_said_of_them() -> None:
    found = figures(seen(a_day(back=1000), []))
    assert found.met is found.rescued is found.attempts_failed is None
    assert found.leave_seconds is None
    assert found.lost == 0
    assert found.lost_last_seconds is None
    assert found.return_seconds is None


def test_what_was_sent_before_the_fault_and_met_it_counts() -> None:
    before = Answer(99, 9.99, 10.01, 0, False, "")
    found = figures(seen([before, *a_day(back=1000)], []))
    assert found.lost == 1


def test_half_of_the_traffic_is_as_much_as_before_where_half_of_it_was_before() -> None:
    def who(number: int) -> str:
        return "first" if number % 2 and not 100 <= number < 220 else "second"

    answers = [answer(number, by=who(number)) for number in range(1, 400)]
    found = figures(seen(answers, arrivals(100)))
    assert found.return_seconds is not None
    assert 0 < found.return_seconds < 2.0


def test_changes_are_counted_between_whole_answers_in_the_order_of_sending() -> None:
    answers = [
        answer(4, by="first"),
        answer(1, by="first"),
        answer(2, by="second"),
        answer(3, whole=False),
        answer(5, by="first"),
    ]
    assert alternations(answers) == 2
    assert alternations([]) == 0


def test_a_percentile_needs_two() -> None:
    assert percentile([answer(1)], 50) is None
    assert percentile([answer(1, took=0.001), answer(2, took=0.003)], 50) == 2.0
