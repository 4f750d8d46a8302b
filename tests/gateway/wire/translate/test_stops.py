"""Counts of tokens and ends of answers, there and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.translate import stops
from gateway.wire.translate.neutral import Stop, Used

COUNTS = st.integers(0, 10**6)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_counts_come_back_from_every_dialect(
    fresh: int, cached: int, written: int, said: int, thought: int
) -> None:
    used = Used(fresh + cached + written, cached, written, said + thought, thought)
    assert stops.chat_used(stops.to_chat(used)) == used
    assert stops.responses_used(stops.to_responses(used)) == used
    assert stops.anthropic_used(stops.to_anthropic(used)) == used
    assert stops.gemini_used(stops.to_gemini(used)) == Used(
        used.input, cached, 0, used.output, thought
    )


def test_nothing_counted_is_none() -> None:
    for read in (stops.chat_used, stops.responses_used, stops.gemini_used):
        assert read(None) is None
    assert stops.anthropic_used({}) is None


def test_every_end_is_some_end_everywhere() -> None:
    for stop in Stop:
        reason = stops.TO_CHAT.get(stop, "stop")
        assert reason in stops.CHAT
        assert stops.TO_ANTHROPIC.get(stop, "end_turn") in stops.ANTHROPIC
        assert stops.TO_GEMINI.get(stop, "STOP") in stops.GEMINI


def test_calls_end_an_answer_and_nothing_else_does() -> None:
    assert stops.settled(Stop.DONE, calls=True) is Stop.TOOLS
    assert stops.settled(Stop.TOOLS, calls=False) is Stop.DONE
    assert stops.settled(Stop.LENGTH, calls=True) is Stop.LENGTH
