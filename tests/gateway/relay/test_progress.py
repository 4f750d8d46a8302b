from __future__ import annotations

from gateway.events import Failure
from gateway.relay.progress import Progress, bad_success, broken, is_told
from gateway.wire.base import Fault
from gateway.wire.openai import OpenAIWire


def test_an_attempt_that_got_nowhere_has_seen_nothing() -> None:
    seen = Progress().seen()
    assert (seen.status, seen.usage, seen.dropped, seen.translated) == (None, None, (), "")


def test_a_stream_that_did_not_end_is_counted_by_its_pieces() -> None:
    judge = OpenAIWire().judge(stream=True)
    judge.feed(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n' * 3)
    usage = Progress(judge=judge).seen().usage
    assert usage is not None
    assert usage.output_tokens == 3


def test_what_failures_within_a_200_are_called() -> None:
    assert bad_success("html").failure is Failure.BAD_SUCCESS
    assert broken("no_terminal").failure is Failure.STREAM_BROKEN


def test_a_client_is_told_once() -> None:
    assert is_told(Fault(reason="error_event"))
    assert not is_told(Fault(reason="no_terminal"))
    assert not is_told(None)
