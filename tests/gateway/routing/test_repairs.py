"""What is adapted for which target, and how often at most; requests doing it are in
`test_call_adapting`."""

from __future__ import annotations

from gateway.routing.repairs import REPAIRS_MAX, Repairs
from tests.gateway.routing.building import bad

IDS = bad("bad_request", repairs=("tool_ids",))
BOTH = bad("bad_request", repairs=("thinking", "tool_ids"))


def test_what_cannot_be_adapted_is_not_cured() -> None:
    assert not Repairs().cure(bad("bad_request"))


def test_what_is_adapted_is_known_by_target_each_thing_once() -> None:
    it = Repairs()
    assert it.of("p/m") == ()
    it.made("p/m", IDS)
    it.made("p/m", BOTH)
    assert it.of("p/m") == ("tool_ids", "thinking")
    assert it.of("q/m") == ()


def test_a_request_is_adapted_a_few_times_at_most() -> None:
    it = Repairs()
    for _ in range(REPAIRS_MAX):
        assert it.cure(BOTH)
        it.made("p/m", BOTH)
    assert not it.cure(BOTH)
