from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.events import Usage
from gateway.wire.anthropic import AnthropicWire
from gateway.wire.base import ErrorAnswer, Fault, Wire
from tests.gateway.wire.judging import PLACES, cut, judged, verdict

WIRE: Wire = AnthropicWire()


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def delta(**fields: Any) -> bytes:
    return event("content_block_delta", index=0, delta=fields)


def block(**fields: Any) -> bytes:
    return event("content_block_start", index=0, content_block=fields)


MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-1",
    "content": [],
    "stop_reason": None,
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 5,
        "cache_read_input_tokens": 100,
        "output_tokens": 1,
    },
}
START = event("message_start", message=MESSAGE)
TEXT = block(type="text", text="")
HI = delta(type="text_delta", text="Hi")
PING = event("ping")
STOP = event("content_block_stop", index=0)
END = event(
    "message_delta",
    delta={"stop_reason": "end_turn"},
    usage={"output_tokens": 20, "output_tokens_details": {"thinking_tokens": 12}},
)
DONE = event("message_stop")
STREAM = [START, TEXT, PING, HI, STOP, END, DONE]
COUNTED = Usage(
    input_tokens=115, cached_tokens=100, cache_write_tokens=5, output_tokens=20, reasoning_tokens=12
)
OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}
ERROR = event("error", error=OVERLOADED)


def test_a_usual_stream_is_whole_with_usage_and_model() -> None:
    assert verdict(WIRE, *STREAM) == (True, True, None, COUNTED, "claude-1")


def test_the_pieces_of_content_are_counted_as_they_come() -> None:
    judge = judged(WIRE, START, TEXT, HI, PING, HI, HI, STOP)
    assert judge.pieces == 3


@pytest.mark.parametrize(
    ("part", "content"),
    [
        (START, False),
        (PING, False),
        (STOP, False),
        (TEXT, False),
        (block(type="thinking", thinking="", signature=""), False),
        (delta(type="text_delta", text=""), False),
        (event("message_delta", delta={"stop_reason": None}, usage={"output_tokens": 1}), False),
        (event("something_new", text="x"), False),
        (HI, True),
        (delta(type="input_json_delta", partial_json="{"), True),
        (delta(type="thinking_delta", thinking="hm"), True),
        (delta(type="signature_delta", signature="abc"), True),
        (delta(type="citations_delta", citation={"type": "char_location"}), True),
        (delta(type="something_new", payload=[1]), True),
        (block(type="text", text="Hi"), True),
        (block(type="tool_use", id="t", name="f", input={}), True),
        (block(type="server_tool_use", id="t", name="f", input={}), True),
        (block(type="redacted_thinking", data="x"), True),
        (HI.replace(b"event: content_block_delta\n", b""), True),
        (HI.replace(b"event: content_block_delta", b"event: message"), True),
    ],
)
def test_what_is_content_and_what_is_not(part: bytes, content: bool) -> None:
    judge = WIRE.judge(stream=True)
    judge.feed(part)
    assert judge.content is content


def test_an_empty_answer_that_says_why_it_stopped_is_whole() -> None:
    assert verdict(WIRE, START, END, DONE)[:3] == (True, True, None)


def test_a_message_that_stops_without_content_or_reason_is_a_fault() -> None:
    assert verdict(WIRE, START, DONE)[:3] == (False, False, Fault(reason="no_content"))


@pytest.mark.parametrize(
    ("answer", "content", "reason"),
    [
        (b"", False, "closed_at_once"),
        (START, False, "no_content"),
        (START + TEXT + PING, False, "no_content"),
        (b": only comments\n\n", False, "no_content"),
        (START + HI, True, "no_terminal"),
        (START + HI + STOP + END, True, "no_terminal"),
        (b"<html></html>", False, "html"),
    ],
)
def test_a_stream_that_ends_early_is_a_fault(answer: bytes, content: bool, reason: str) -> None:
    assert verdict(WIRE, answer)[:3] == (content, False, Fault(reason=reason))


@pytest.mark.parametrize("before", [[], [START], [START, TEXT, HI]])
@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (ERROR, OVERLOADED),
        (ERROR.removeprefix(b"event: error\n"), OVERLOADED),
        (b'event: error\ndata: {"message":"m"}\n\n', {"message": "m"}),
        (b"event: error\ndata: gone\n\n", {}),
        (b"event: error\n\n", {}),
        (b'data: {"error":{"message":"m"}}\n\n', {"message": "m"}),
    ],
)
def test_an_error_event_is_a_fault_before_and_after_content(
    before: list[bytes], frame: bytes, error: dict[str, Any]
) -> None:
    found = verdict(WIRE, *before, frame, DONE)
    assert found[:3] == (len(before) == 3, False, Fault(reason="error_event", error=error))


def test_a_message_that_speaks_of_errors_is_no_error() -> None:
    talk = delta(type="text_delta", text='event: error {"type":"error"} message_stop')
    assert verdict(WIRE, START, talk, talk, END, DONE)[:3] == (True, True, None)


def test_input_counted_at_the_start_survives_a_zero_at_the_end() -> None:
    end = event(
        "message_delta", delta={"stop_reason": "x"}, usage={"input_tokens": 0, "output_tokens": 7}
    )
    usage = judged(WIRE, START, HI, end, DONE).usage
    assert usage == Usage(input_tokens=115, cached_tokens=100, cache_write_tokens=5, output_tokens=7)  # fmt: skip


def test_input_counted_only_at_the_end_is_counted() -> None:
    start = event("message_start", message={"usage": {"input_tokens": 0, "output_tokens": 0}})
    end = event("message_delta", delta={}, usage={"input_tokens": 9, "output_tokens": 7})
    assert judged(WIRE, start, HI, end, DONE).usage == Usage(input_tokens=9, output_tokens=7)


@pytest.mark.parametrize("usage", [None, "x", [], {"input_tokens": "9"}, {"output_tokens": -1}])
def test_nonsense_for_usage_is_not_counted(usage: object) -> None:
    start = event("message_start", message={"usage": usage})
    assert judged(WIRE, start, HI, DONE).usage is None


FRAMES = st.sampled_from(
    [
        *STREAM,
        ERROR,
        HI.replace(b"\n", b"\r\n"),
        DONE.removeprefix(b"event: message_stop\n"),
        b'data: {"type":\ndata: "message_stop"}\r\r',
        b'event: ping\ndata: {"type":"message_stop"}\n\n',
        b": ping\n\n",
        b"data: {\n\n",
        b"<html>",
        b'{"type":"error"}',
    ]
)
STREAMS = st.lists(FRAMES | st.binary(max_size=8), max_size=10).map(b"".join)


@settings(deadline=None)
@given(STREAMS, PLACES)
def test_any_division_of_a_stream_gives_the_same_verdict(stream: bytes, places: list[int]) -> None:
    assert verdict(WIRE, *cut(stream, places)) == verdict(WIRE, stream)


@settings(deadline=None)
@given(STREAMS)
def test_a_stream_fed_byte_by_byte_gives_the_same_verdict(stream: bytes) -> None:
    assert verdict(WIRE, *cut(stream, list(range(len(stream))))) == verdict(WIRE, stream)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats()
    | st.sampled_from(["message_start", "message_delta", "message_stop", "error", "content_block_delta",
                       "content_block_start", "text"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "message", "usage", "delta", "content_block", "error", "content",
                         "stop_reason", "input_tokens", "output_tokens", "text", "model"]),
        inner,
        max_size=4,
    ),
    max_leaves=30,
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(JSON, max_size=4), PLACES, st.booleans())
def test_no_answer_whatever_makes_a_judge_raise(
    values: list[Any], places: list[int], framed: bool
) -> None:
    texts = [json.dumps(value).encode() for value in values]
    answer = b"".join(b"data: " + text + b"\n\n" if framed else text for text in texts)
    for stream in (True, False):
        verdict(WIRE, *cut(answer, places), stream=stream)


@pytest.mark.parametrize(
    ("content", "stop"), [([{"type": "text", "text": "Hi"}], "end_turn"), ([], "end_turn")]
)
def test_a_single_answer_is_whole_with_content_or_a_reason_to_have_none(
    content: list[Any], stop: str
) -> None:
    details = {"output_tokens_details": {"thinking_tokens": 12}, "output_tokens": 20}
    message = {**MESSAGE, "usage": {**MESSAGE["usage"], **details}}
    raw = json.dumps({**message, "content": content, "stop_reason": stop}).encode()
    assert verdict(WIRE, raw, stream=False) == (True, True, None, COUNTED, "claude-1")


def test_a_token_count_is_an_answer_and_no_usage() -> None:
    found = verdict(WIRE, b'{"input_tokens": 0}', stream=False)
    assert found == (True, True, None, None, "")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", Fault(reason="empty_body")),
        (b"<html>", Fault(reason="html")),
        (b"nope", Fault(reason="not_json")),
        (json.dumps(MESSAGE).encode(), Fault(reason="no_content")),
        (b'{"content": "text"}', Fault(reason="no_content")),
        (
            json.dumps({"type": "error", "error": OVERLOADED}).encode(),
            Fault(reason="error_in_body", error=OVERLOADED),
        ),
        (
            b'{"type":"error","message":"m"}',
            Fault(reason="error_in_body", error={"type": "error", "message": "m"}),
        ),
    ],
)
def test_a_200_that_is_no_answer_is_a_fault(answer: bytes, fault: Fault) -> None:
    assert verdict(WIRE, answer, stream=False)[:3] == (False, False, fault)


def answer_of(status: int) -> ErrorAnswer:
    return ErrorAnswer(
        status=status,
        code="some_code",
        message="Try \ud800 later.\n",
        request_id="req_1",
        targets=({"target": "a/m", "ready_in_seconds": 1.5},),
    )


def client_seeing(status: int, content: bytes, content_type: str) -> anthropic.Anthropic:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=content, headers={"content-type": content_type})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="k", base_url="http://x", max_retries=0, http_client=http)


@pytest.mark.parametrize(
    ("status", "kind", "exception"),
    [
        (400, "invalid_request_error", anthropic.BadRequestError),
        (401, "authentication_error", anthropic.AuthenticationError),
        (402, "billing_error", anthropic.PaymentRequiredError),
        (403, "permission_error", anthropic.PermissionDeniedError),
        (404, "not_found_error", anthropic.NotFoundError),
        (413, "request_too_large", anthropic.ContentTooLargeError),
        (415, "invalid_request_error", anthropic.APIStatusError),
        (429, "rate_limit_error", anthropic.RateLimitError),
        (500, "api_error", anthropic.InternalServerError),
        (503, "api_error", anthropic.ServiceUnavailableError),
        (504, "timeout_error", anthropic.GatewayTimeoutError),
        (529, "overloaded_error", anthropic.OverloadedError),
    ],
)
def test_the_sdk_reads_our_errors(
    status: int, kind: str, exception: type[anthropic.APIStatusError]
) -> None:
    body = WIRE.error_body(answer_of(status))
    with client_seeing(status, body, "application/json") as client:  # noqa: SIM117
        with pytest.raises(exception) as caught:
            client.messages.create(model="m", max_tokens=1, messages=[])
    assert (caught.value.type, caught.value.error_code) == (kind, "some_code")
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["type"] == "error"
    assert caught.value.body["request_id"] == "req_1"
    assert caught.value.body["error"]["targets"] == [{"target": "a/m", "ready_in_seconds": 1.5}]


def test_the_sdk_raises_at_our_error_event_after_content() -> None:
    last = WIRE.error_event(answer_of(503))
    assert last.count(b"\n") == 3
    assert judged(WIRE, START, HI, last).fault is not None
    with client_seeing(200, START + TEXT + HI + last, "text/event-stream") as client:
        stream = client.messages.create(model="m", max_tokens=1, messages=[], stream=True)
        assert [next(stream).type for _ in range(3)][2] == "content_block_delta"
        with pytest.raises(anthropic.APIStatusError) as caught:
            next(stream)
    assert (caught.value.type, caught.value.error_code) == ("api_error", "some_code")


def test_the_wire_reads_requests_with_the_session_of_claude_code() -> None:
    user = json.dumps({"device_id": "d", "account_uuid": "", "session_id": "s-1"})
    asked = WIRE.read(
        json.dumps({"model": "fast", "stream": True, "metadata": {"user_id": user}}).encode()
    )
    assert (asked.model, asked.stream, asked.session) == ("fast", True, "s-1")
