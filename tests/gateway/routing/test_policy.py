"""The table of what follows, held against the rules that must be true of every row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Stability
from gateway.events import Failure, Scope
from gateway.routing.policy import POLICY, Again, Blame, Ladder, ladder, stated_rest

STABILITY = Stability()


def test_every_failure_has_its_row() -> None:
    assert set(POLICY) == set(Failure)


def test_the_client_s_faults_and_nobody_s_blame_nobody_and_end_the_request() -> None:
    nobody = {failure for failure, rule in POLICY.items() if rule.blame is Blame.NOBODY}
    assert nobody == {
        Failure.BAD_REQUEST,
        Failure.CONTEXT_TOO_LONG,
        Failure.CONTENT_POLICY,
        Failure.CANCELLED,
        Failure.DEADLINE,
    }
    for failure in nobody:
        rule = POLICY[failure]
        assert (rule.scope, rule.again) == (None, Again.NO)
        assert not rule.next_credential
        assert not rule.next_target


def test_limits_and_keys_blame_the_smallest_thing_and_are_asked_again_only_when_it_is_over() -> (
    None
):
    scopes = {
        Failure.RATE_LIMITED: Scope.CREDENTIAL_MODEL,
        Failure.QUOTA_EXHAUSTED: Scope.CREDENTIAL,
        Failure.AUTH: Scope.CREDENTIAL,
    }
    for failure, scope in scopes.items():
        rule = POLICY[failure]
        again = Again.WHEN_OVER if failure is Failure.RATE_LIMITED else Again.NO
        assert (rule.blame, rule.scope, rule.again) == (Blame.CAPACITY, scope, again)
        assert rule.next_credential


@pytest.mark.parametrize(
    ("failure", "again"),
    [
        (Failure.OVERLOADED, Again.ONCE),
        (Failure.BAD_SUCCESS, Again.ONCE),
        (Failure.SERVER_ERROR, Again.IF_UNPROCESSED),
        (Failure.CONNECT, Again.IF_UNPROCESSED),
        (Failure.RESET_BEFORE_CONTENT, Again.IF_UNPROCESSED),
        (Failure.FIRST_CONTENT_TIMEOUT, Again.NO),
        (Failure.IDLE_TIMEOUT, Again.NO),
        (Failure.STREAM_BROKEN, Again.NO),
        (Failure.UNKNOWN, Again.NO),
    ],
)
def test_ill_health_is_asked_again_only_where_the_table_says(
    failure: Failure, again: Again
) -> None:
    assert (POLICY[failure].blame, POLICY[failure].again) == (Blame.HEALTH, again)


def test_a_slow_or_broken_target_is_not_tried_with_another_credential() -> None:
    for failure in (
        Failure.FIRST_CONTENT_TIMEOUT,
        Failure.IDLE_TIMEOUT,
        Failure.STREAM_BROKEN,
        Failure.MODEL_NOT_FOUND,
        Failure.UNSUPPORTED,
    ):
        assert not POLICY[failure].next_credential


@pytest.mark.parametrize(
    ("failure", "base", "cap"),
    [
        (Failure.RATE_LIMITED, 15.0, 300.0),
        (Failure.QUOTA_EXHAUSTED, 900.0, 21_600.0),
        (Failure.AUTH, 300.0, 86_400.0),
        (Failure.SERVER_ERROR, 30.0, 300.0),
        (Failure.MODEL_NOT_FOUND, 3600.0, 3600.0),
    ],
)
def test_each_failure_climbs_its_own_ladder(failure: Failure, base: float, cap: float) -> None:
    assert ladder(failure, STABILITY) == Ladder(base, cap)


def test_a_ladder_never_passes_its_cap_however_high_it_is_climbed() -> None:
    steps = Ladder(15.0, 300.0)
    assert [steps.seconds(n) for n in (1, 2, 3, 4, 5, 6, 10_000)] == [
        15,
        30,
        60,
        120,
        240,
        300,
        300,
    ]


@given(st.floats(0.0, 1e6), st.floats(0.0, 1.0, exclude_max=True))
def test_a_stated_rest_is_never_shorter_than_stated_and_little_longer(
    seconds: float, draw: float
) -> None:
    rest = stated_rest(seconds, STABILITY, draw)
    clamped = min(max(seconds, 0.5), 93_600.0)
    assert clamped <= rest <= clamped + min(2.0, 0.1 * clamped)
