"""How long a request and its attempts may take."""

from __future__ import annotations

from gateway.config import Stability, Timeouts
from gateway.routing.clocks import SINGLE_ANSWER_SECONDS, attempt_timeouts, deadline_seconds
from tests.gateway.routing.building import clocks


def test_a_stream_has_the_configured_deadline_and_clocks() -> None:
    assert deadline_seconds(Stability(), stream=True) == 90.0
    assert attempt_timeouts(Timeouts(), stream=True, left=90.0) == (clocks(), False)


def test_a_single_answer_has_long_clocks_where_nobody_set_them() -> None:
    assert deadline_seconds(Stability(), stream=False) == SINGLE_ANSWER_SECONDS
    found, cut = attempt_timeouts(Timeouts(), stream=False, left=SINGLE_ANSWER_SECONDS)
    assert found == clocks(
        headers_seconds=SINGLE_ANSWER_SECONDS, first_content_seconds=SINGLE_ANSWER_SECONDS
    )
    assert not cut


def test_clocks_that_the_operator_set_hold_for_single_answers_too() -> None:
    assert deadline_seconds(Stability(deadline_seconds=20.0), stream=False) == 20.0
    own = Timeouts(headers_seconds=7.0, first_content_seconds=9.0)
    assert attempt_timeouts(own, stream=False, left=20.0) == (
        clocks(headers_seconds=7.0, first_content_seconds=9.0),
        False,
    )


def test_headers_that_do_not_come_use_up_the_clock_to_first_content() -> None:
    found, _ = attempt_timeouts(Timeouts(first_content_seconds=4.0), stream=True, left=90.0)
    assert (found.headers_seconds, found.first_content_seconds) == (4.0, 4.0)


def test_what_is_left_of_the_deadline_cuts_the_clocks_to_first_content_only() -> None:
    found, cut = attempt_timeouts(Timeouts(), stream=True, left=2.0)
    assert found == clocks(
        connect_seconds=2.0, headers_seconds=2.0, first_content_seconds=2.0, idle_seconds=60.0
    )
    assert cut


def test_a_deadline_as_long_as_the_clock_does_not_cut_it() -> None:
    assert attempt_timeouts(Timeouts(), stream=True, left=30.0) == (clocks(), False)


def test_a_slow_model_has_a_clock_of_its_own_whatever_else_holds() -> None:
    own = Timeouts(headers_seconds=2.0, first_content_seconds=2.0)
    slow = clocks(headers_seconds=10.0, first_content_seconds=10.0)
    for stream in (True, False):
        found, cut = attempt_timeouts(own, stream=stream, left=90.0, model_seconds=10.0)
        assert (found, cut) == (slow, False)
    assert (
        attempt_timeouts(own, stream=True, left=90.0, model_seconds=10.0, probe_seconds=1.0)[0]
        == slow
    )
    found, cut = attempt_timeouts(own, stream=True, left=4.0, model_seconds=10.0)
    assert (found.first_content_seconds, cut) == (4.0, True)


def test_the_client_s_own_deadline_only_shortens() -> None:
    assert deadline_seconds(Stability(), stream=True, asked=5.0) == 5.0
    assert deadline_seconds(Stability(), stream=False, asked=5.0) == 5.0
    assert deadline_seconds(Stability(deadline_seconds=20.0), stream=True, asked=60.0) == 20.0
