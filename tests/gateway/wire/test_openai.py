from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.events import Usage
from gateway.wire.base import ErrorAnswer, Fault, Wire
from gateway.wire.openai import OpenAIWire
from tests.gateway.wire.judging import PLACES, cut, judged, verdict

WIRE: Wire = OpenAIWire()
DONE = b"data: [DONE]\n\n"
ROLE = {"role": "assistant", "content": "", "refusal": None}


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    value = {"id": "c", "object": "chat.completion.chunk", "model": "m-1", "choices": choices}
    return b"data: " + json.dumps({**value, "usage": None, **more}).encode() + b"\n\n"


USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 12},
}
COUNTED = Usage(
    input_tokens=100, cached_tokens=64, cache_write_tokens=8, output_tokens=20, reasoning_tokens=12
)
STREAM = [
    chunk(ROLE),
    chunk({"content": "Hi"}),
    chunk({"content": ' "usage" "error"'}),
    chunk({}, "stop"),
    chunk(None, usage=USAGE),
    DONE,
]


def test_a_usual_stream_is_whole_with_usage_and_model() -> None:
    assert verdict(WIRE, *STREAM) == (True, True, None, COUNTED, "m-1")


def test_the_pieces_of_content_are_counted_as_they_come() -> None:
    judge = judged(WIRE, chunk(ROLE), *[chunk({"content": "x"})] * 3)
    assert judge.pieces == 3


def test_content_begins_with_the_first_delta_that_holds_something() -> None:
    judge = WIRE.judge(stream=True)
    seen = []
    start = (b": OPENROUTER PROCESSING\n\n", chunk(None), chunk(ROLE), chunk({}))
    for part in (*start, chunk({"content": "H"})):
        judge.feed(part)
        seen.append((judge.content, judge.done))
    assert seen == [(False, False)] * 4 + [(True, False)]


@pytest.mark.parametrize(
    "delta",
    [
        {"content": " "},
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"refusal": "no"},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]},
        {"function_call": {"name": "f", "arguments": ""}},
        {"audio": {"id": "a", "data": "AA=="}},
        {"content": "cut \ud83d"},
    ],
)
def test_each_kind_of_content_counts(delta: dict[str, Any]) -> None:
    judge = WIRE.judge(stream=True)
    judge.feed(chunk(delta))
    assert judge.content


@pytest.mark.parametrize(
    "data", [b"{}", b"[]", b"null", b"7", b'"x"', b"{", b"\xff", b'{"choices":[null,7,{"delta":"x"}]}']
)  # fmt: skip
def test_frames_that_are_no_chunks_are_no_content(data: bytes) -> None:
    assert judged(WIRE, b"data: " + data + b"\n\n" + DONE).fault == Fault(reason="no_content")


def test_an_empty_answer_that_says_it_is_finished_is_whole() -> None:
    judge = WIRE.judge(stream=True)
    seen = []
    for part in (chunk(ROLE), chunk({}, "stop"), DONE):
        judge.feed(part)
        seen.append((judge.content, judge.done))
    assert seen == [(False, False), (True, False), (True, True)]
    assert judge.fault is None


def test_a_stream_that_ends_after_a_finish_reason_is_whole_without_done() -> None:
    assert verdict(WIRE, *STREAM[:4])[:3] == (True, True, None)


def test_done_without_blank_line_or_space_is_still_done() -> None:
    assert judged(WIRE, *STREAM[:2], b"data:[DONE]").done


def test_a_stream_cut_after_content_lacks_its_terminal_marker() -> None:
    assert verdict(WIRE, *STREAM[:3])[:3] == (True, False, Fault(reason="no_terminal"))


@pytest.mark.parametrize("last", [chunk(ROLE), chunk(ROLE) + DONE, DONE, b": ping\n\n", b"data: {"])
def test_a_stream_without_content_is_a_fault(last: bytes) -> None:
    assert verdict(WIRE, last)[:3] == (False, False, Fault(reason="no_content"))


@pytest.mark.parametrize("nothing", [b"", b"\n\n", b" \r\n"])
def test_a_stream_without_a_byte_was_closed_at_once(nothing: bytes) -> None:
    assert judged(WIRE, nothing).fault == Fault(reason="closed_at_once")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"<!DOCTYPE html>\n\n<html></html>", Fault(reason="html")),
        (b"upstream connect error", Fault(reason="not_json")),
        (b'{"error": {"code": 503}}', Fault(reason="error_in_body", error={"code": 503})),
        (b'{\n\n"error":\n\n"busy"}', Fault(reason="error_in_body", error={"message": "busy"})),
        (b'[{"error": {"code": 429}}]', Fault(reason="error_in_body", error={"code": 429})),
        (b'{"detail": "nope"}', Fault(reason="error_in_body", error={"detail": "nope"})),
        (b'{"choices": [{"message": {"content": "no stream"}}]}', Fault(reason="no_content")),
    ],
)
def test_an_answer_that_is_no_stream_at_all_is_told_by_what_it_is(
    answer: bytes, fault: Fault
) -> None:
    assert judged(WIRE, answer).fault == fault
    assert judged(WIRE, *(answer[i : i + 1] for i in range(len(answer)))).fault == fault


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b'data: {"error":{"code":429,"message":"slow"}}\n\n', {"code": 429, "message": "slow"}),
        (b'data: {"error":"busy","code":"x"}\n\n', {"code": "x", "message": "busy"}),
        (chunk({"content": ""}, "error", error={"code": 502}), {"code": 502}),
        (chunk({"content": ""}, "error"), {}),
        (
            b'data: {"choices":[{"finish_reason":"error","error":{"code":1}}]}\n\n',
            {"code": 1},
        ),
        (
            b'data: {"object":"error","message":"m","code":400}\n\n',
            {"object": "error", "message": "m", "code": 400},
        ),
        (b'data: {"code":"Throttling","message":"m"}\n\n', {"code": "Throttling", "message": "m"}),
        (b'event: error\ndata: {"message":"m"}\n\n', {"message": "m"}),
        (b"event: error\ndata: gone\n\n", {}),
    ],
)
@pytest.mark.parametrize("before", [[], STREAM[:1], STREAM[:3]])
def test_an_error_in_the_stream_is_a_fault_before_and_after_content(
    before: list[bytes], frame: bytes, error: dict[str, Any]
) -> None:
    content = len(before) == 3
    found = verdict(WIRE, *before, frame, DONE)
    assert found[:3] == (content, False, Fault(reason="error_event", error=error))


@pytest.mark.parametrize("empty", [None, False, {}, ""])
def test_an_empty_error_field_is_no_error(empty: object) -> None:
    stream = [chunk({"content": "Hi"}, error=empty), chunk({}, "stop", error=empty), DONE]
    assert verdict(WIRE, *stream)[:3] == (True, True, None)


def test_what_comes_after_the_end_does_not_count() -> None:
    late = b'data: {"error":{"code":500}}\n\n'
    assert verdict(WIRE, *STREAM, late)[:3] == (True, True, None)


@pytest.mark.parametrize(
    ("last", "usage"),
    [
        (chunk({}, "stop", x_groq={"usage": USAGE}), COUNTED),
        (b"data: " + json.dumps({"choices": [{"finish_reason": "stop", "usage": USAGE}]}).encode()
         + b"\n\n", COUNTED),
        (chunk({}, "stop", usage={"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}),
         Usage(input_tokens=9, cached_tokens=4)),
        (chunk({}, "stop", usage={"prompt_tokens": -1, "completion_tokens": "7"}), Usage()),
        (chunk({}, "stop", usage={"prompt_tokens": True, "completion_tokens": 10**40}), Usage()),
        (chunk({}, "stop", usage="none"), None),
    ],
)  # fmt: skip
def test_usage_is_found_in_its_dialects_and_nonsense_is_not_counted(
    last: bytes, usage: Usage | None
) -> None:
    assert judged(WIRE, STREAM[1], last, DONE).usage == usage


def test_a_chunk_too_large_to_keep_counts_as_content() -> None:
    big = chunk({"content": "x" * (9 * 2**20)})
    assert verdict(WIRE, *cut(big, [2**20, 2**21, 2**22, 2**23]), *STREAM[3:])[:3] == (
        True, True, None)  # fmt: skip


FRAMES = st.sampled_from(
    [
        *STREAM,
        chunk({"content": "äöü \ud83d"}, "length", usage=USAGE),
        b'event: error\r\ndata: {"message":"m"}\r\n\r\n',
        b'data: {"error":{"code":1}}\n\n',
        b'data: {"error":\ndata: {"code":1}}\r\r',
        b": ping\n\n",
        b"data: {\n\n",
        b"<html>",
        b"{}",
        b'{"error":1}',
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
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.floats(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "delta", "message", "content", "usage", "error", "finish_reason", "data",
             "model", "x_groq", "prompt_tokens", "prompt_tokens_details", "cached_tokens", "code"]
        ),
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


def chat(**message: Any) -> dict[str, Any]:
    return {"model": "m-1", "choices": [{"index": 0, "message": message}]}


@pytest.mark.parametrize(
    "answer",
    [
        {**chat(content="Hi"), "usage": USAGE},
        {**chat(content=None, tool_calls=[{"id": "t"}]), "usage": USAGE, "error": None},
        {**chat(content=None, refusal="no"), "usage": USAGE},
        {**chat(content=None, reasoning_content="hm"), "usage": USAGE},
        {**chat(content="cut \ud83d"), "usage": USAGE},
        {"model": "m-1", "usage": USAGE, "choices": [{"message": {}, "finish_reason": "stop"}]},
        {"model": "m-1", "usage": USAGE, "choices": [{"text": "legacy"}]},
    ],
)
def test_a_single_answer_with_something_in_it_is_whole(answer: dict[str, Any]) -> None:
    raw = json.dumps(answer).encode()
    judge = WIRE.judge(stream=False)
    judge.feed(raw[:10])
    judge.feed(raw[10:])
    assert not judge.content
    assert verdict(WIRE, raw, stream=False) == (True, True, None, COUNTED, "m-1")


def test_embeddings_are_whole_with_data_and_not_without() -> None:
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    item = {"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}
    raw = json.dumps({"object": "list", "data": [item], "model": "e", "usage": usage}).encode()
    assert verdict(WIRE, raw, stream=False) == (True, True, None, Usage(input_tokens=5), "e")
    assert verdict(WIRE, json.dumps(json.loads(raw), indent=2).encode(), stream=False)[1]
    for empty in ("[]", "[ ]", "null", "{}", '"x"'):
        raw = f'{{"object": "list", "data": {empty}, "model": "e"}}'.encode()
        assert judged(WIRE, raw, stream=False).fault == Fault(reason="no_content")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", Fault(reason="empty_body")),
        (b" \n", Fault(reason="empty_body")),
        (b"<html>", Fault(reason="html")),
        (b"\n <!doctype html>", Fault(reason="html")),
        (b"ok", Fault(reason="not_json")),
        (b'{"choices": [', Fault(reason="not_json")),
        (b"\xff\xfe", Fault(reason="not_json")),
        (b"[" * 200_000, Fault(reason="not_json")),
        (b"null", Fault(reason="not_json")),
        (b"[]", Fault(reason="no_content")),
        (b"{}", Fault(reason="no_content")),
        (b'{"choices": []}', Fault(reason="no_content")),
        (b'{"choices": [{"message": {"content": ""}}]}', Fault(reason="no_content")),
        (b'{"choices": [null, 3]}', Fault(reason="no_content")),
        (b'{"error": {"code": 502}}', Fault(reason="error_in_body", error={"code": 502})),
        (b'{"error": "busy", "choices": []}', Fault(reason="error_in_body", error={"message": "busy"})),
        (b'[{"error": {"code": 429}}]', Fault(reason="error_in_body", error={"code": 429})),
        (b'{"code":"E","message":"m"}', Fault(reason="error_in_body", error={"code": "E", "message": "m"})),
        (b'{"choices":[{"finish_reason":"error","error":{"code":1}}]}', Fault(reason="error_in_body", error={"code": 1})),
    ],
)  # fmt: skip
def test_a_200_that_is_no_answer_is_a_fault(answer: bytes, fault: Fault) -> None:
    assert verdict(WIRE, answer, stream=False)[:3] == (False, False, fault)


def answer_of(status: int, code: str = "some_code") -> ErrorAnswer:
    return ErrorAnswer(
        status=status,
        code=code,
        message="Try \ud800 later.\n",
        request_id="req_1",
        targets=({"target": "a/m", "ready_in_seconds": 1.5},),
    )


def client_seeing(status: int, content: bytes, content_type: str) -> openai.OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=content, headers={"content-type": content_type})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://x/v1", max_retries=0, http_client=http)


@pytest.mark.parametrize(
    ("status", "kind", "exception"),
    [
        (400, "invalid_request_error", openai.BadRequestError),
        (401, "authentication_error", openai.AuthenticationError),
        (403, "permission_error", openai.PermissionDeniedError),
        (404, "invalid_request_error", openai.NotFoundError),
        (413, "invalid_request_error", openai.APIStatusError),
        (429, "rate_limit_error", openai.RateLimitError),
        (500, "server_error", openai.InternalServerError),
        (503, "server_error", openai.InternalServerError),
    ],
)
def test_the_sdk_reads_our_errors(
    status: int, kind: str, exception: type[openai.APIStatusError]
) -> None:
    body = WIRE.error_body(answer_of(status))
    with client_seeing(status, body, "application/json") as client:  # noqa: SIM117
        with pytest.raises(exception) as caught:
            client.chat.completions.create(model="m", messages=[])
    assert (caught.value.type, caught.value.code, caught.value.param) == (kind, "some_code", None)
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["request_id"] == "req_1"
    assert caught.value.body["targets"] == [{"target": "a/m", "ready_in_seconds": 1.5}]


def test_the_sdk_raises_at_our_error_event_after_content() -> None:
    event = WIRE.error_event(answer_of(502, "stream_broken"))
    assert event.count(b"\n") == 2
    assert b"[DONE]" not in event
    assert judged(WIRE, *STREAM[:2], event).fault is not None
    with client_seeing(200, b"".join(STREAM[:2]) + event, "text/event-stream") as client:
        stream = client.chat.completions.create(model="m", messages=[], stream=True)
        assert next(stream).choices
        assert next(stream).choices[0].delta.content == "Hi"
        with pytest.raises(openai.APIError) as caught:
            next(stream)
    assert (caught.value.type, caught.value.code) == ("server_error", "stream_broken")


def test_the_wire_reads_requests() -> None:
    asked = WIRE.read(b'{"messages": [], "model": "fast", "prompt_cache_key": "s"}')
    assert (asked.model, asked.stream, asked.session) == ("fast", False, "s")
