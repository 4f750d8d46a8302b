from __future__ import annotations

import contextlib
import json
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.base import Asked, ClientError
from gateway.wire.body import (
    drop_fields,
    read_fields,
    read_unnamed,
    replace_any_model,
    replace_each_model,
    replace_model,
    replace_values,
    session_id,
)


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "fast", **fields}).encode()


def refused(raw: bytes) -> ClientError:
    with pytest.raises(ClientError) as caught:
        read_fields(raw)
    assert caught.value.status == 400
    return caught.value


def test_model_and_stream_are_read_and_the_rest_is_left_alone() -> None:
    asked = read_fields(body(messages=[{"role": "user", "content": "hé"}], stream=True, seed=1e99))
    assert asked == Asked(model="fast", stream=True, session="")


@pytest.mark.parametrize("stream", [False, None])
def test_a_missing_or_null_stream_flag_means_a_single_answer(stream: bool | None) -> None:
    assert not read_fields(body(stream=stream)).stream
    assert not read_fields(body()).stream


@pytest.mark.parametrize(
    ("raw", "code", "words"),
    [
        (b"", "invalid_json", "empty"),
        (b" \n", "invalid_json", "empty"),
        (b"{", "invalid_json", "line 1, column 2"),
        (b'{"model": "a",\n"x": tru}', "invalid_json", "line 2, column 6"),
        (b'{"model": "a"} x', "invalid_json", "Extra data at line 1, column 16"),
        (b'{"model": "a", "x": NaN}', "invalid_json", "NaN"),
        (b'\xef\xbb\xbf{"model": "a"}', "invalid_json", "BOM"),
        (b'{"model": "a", "x": "\xff"}', "invalid_json", "byte 0xff at offset 21"),
        (b'{"model": "a", "x": "a\nb"}', "invalid_json", "control character"),
        ('{"model": "a"}'.encode("utf-16"), "invalid_json", "UTF-8"),
        (b'["model"]', "invalid_request", "a JSON object, not an array"),
        (b'"model"', "invalid_request", "not a string"),
        (b"null", "invalid_request", "not null"),
        (b"1e999", "invalid_request", "not a number"),
        (b"{}", "invalid_request", "names no model"),
        (b'{"model": null}', "invalid_request", "names no model"),
        (b'{"model": ""}', "invalid_request", "names no model"),
        (b'{"model": 4}', "invalid_request", "a string, not a number"),
        (b'{"model": ["a"]}', "invalid_request", "a string, not an array"),
        (b'{"model": "a\\ud800"}', "invalid_request", "cannot be printed"),
        (b'{"model": "a\\n"}', "invalid_request", "cannot be printed"),
        (b'{"model": "%b"}' % (b"m" * 513), "invalid_request", "longer than 512 characters"),
        (b'{"model": "a", "stream": "yes"}', "invalid_request", "true or false, not a string"),
        (b'{"model": "a", "stream": 1}', "invalid_request", "true or false, not a number"),
    ],
)
def test_a_bad_body_is_refused_in_words_that_say_what_and_where(
    raw: bytes, code: str, words: str
) -> None:
    error = refused(raw)
    assert error.code == code
    assert words in error.message
    assert error.message.endswith(".")


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"model":', b'{"metadata":'])
def test_deep_nesting_is_refused_and_does_not_crash(opening: bytes) -> None:
    prefix = b'{"model":"a","x":'
    for raw in (opening * 200_000, prefix + opening * 200_000):
        assert refused(raw).code == "invalid_json"
    closing = b"]" if opening == b"[" else b"}"
    whole = prefix + opening * 100_000 + b"1" + closing * 100_000 + b"}"
    assert "nests deeper" in refused(whole).message


def test_an_absurdly_long_number_is_refused_or_ignored_and_does_not_crash() -> None:
    read_fields(b'{"model":"a","seed":' + b"9" * 100_000 + b"}")
    assert refused(b'{"model":' + b"9" * 100_000 + b"}").status == 400


def test_lone_surrogates_in_a_prompt_are_left_to_the_provider() -> None:
    raw = b'{"messages":[{"content":"cut \\ud83d"}],"model":"fast","stream":true}'
    assert read_fields(raw) == Asked(model="fast", stream=True, session="")
    assert replace_model(raw, "m") == raw.replace(b"fast", b"m")


UUID = str(uuid.UUID(int=7))


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": {"user_id": json.dumps({"device_id": "d", "session_id": UUID})}},
        {"metadata": {"user_id": f"user_ab_account_cd_session_{UUID}"}},
        {"session_id": UUID},
        {"conversation": UUID},
        {"conversation": {"id": UUID}},
        {"prompt_cache_key": UUID},
        {"client_metadata": {"thread_id": UUID}},
        {"client_metadata": {"session_id": UUID, "thread_id": "other"}},
        {"request": {"session_id": UUID, "contents": []}},
        {"previous_response_id": UUID},
        {"session_id": UUID, "prompt_cache_key": "other", "previous_response_id": "third"},
        {"session_id": 7, "metadata": "nonsense", "conversation": [], "prompt_cache_key": UUID},
        {"metadata": {"user_id": "{broken"}, "session_id": "a\nb", "prompt_cache_key": UUID},
    ],
)
def test_the_session_is_found_wherever_a_client_puts_it(fields: dict[str, Any]) -> None:
    assert read_fields(body(**fields)).session == UUID


@pytest.mark.parametrize(
    "fields",
    [
        {"metadata": {"user_id": "somebody"}},
        {"metadata": {"user_id": '{"session_id": 4}'}},
        {"metadata": {"user_id": '{"session_id": "\\ud800"}'}},
        {"metadata": {"user_id": "{" + "[" * 100_000}},
        {"metadata": {"user_id": ["a"]}},
        {"metadata": {"user_id": 1e308, "x": 10**400}},
        {"conversation": {"id": {"id": "x"}}},
        {"session_id": "a\x00b"},
        {"session_id": "\x1b[31m"},
        {"session_id": "\ud800"},
        {"session_id": "x" * 257},
        {"session_id": "é" * 129},
        {"session_id": "   "},
        {"prompt_cache_key": None},
    ],
)
def test_nonsense_for_a_session_is_ignored(fields: dict[str, Any]) -> None:
    assert read_fields(body(**fields)).session == ""


def test_a_session_id_may_have_256_bytes() -> None:
    assert session_id("x" * 256) == "x" * 256
    assert session_id(" x ") == "x"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"model":"old"}', b'{"model":"NEW"}'),
        (b' {\n\t"model" : "old" ,"a":1}\n', b' {\n\t"model" : "NEW" ,"a":1}\n'),
        (b'{"x":{"model":"old"},"model":"old"}', b'{"x":{"model":"old"},"model":"NEW"}'),
        (b'{"x":[{"model":"a"}, "model"],"model":"b"}', b'{"x":[{"model":"a"}, "model"],"model":"NEW"}'),
        (b'{"x":"\\"model\\":\\"old\\"","model":"old"}', b'{"x":"\\"model\\":\\"old\\"","model":"NEW"}'),
        (b'{"say \\"model":1,"model":"old"}', b'{"say \\"model":1,"model":"NEW"}'),
        (b'{"x":"model","model":"old"}', b'{"x":"model","model":"NEW"}'),
        (b'{"mod\\u0065l":"old"}', b'{"mod\\u0065l":"NEW"}'),
        (b'{"model":"a","mod\\u0065l":"old"}', b'{"model":"NEW","mod\\u0065l":"NEW"}'),
        (b'{"model":"a","model":"old"}', b'{"model":"NEW","model":"NEW"}'),
        (b'{"model":{"model":"a"},"model":"b"}', b'{"model":"NEW","model":"NEW"}'),
        (b'{"model":[1,"]"],"x":null,"model":"b"}', b'{"model":"NEW","x":null,"model":"NEW"}'),
        (b'{"model":12 ,"model":"b"}', b'{"model":"NEW" ,"model":"NEW"}'),
        (b'{"a":[1],"a":[2,{"b":"]"}],"model":"b"}', b'{"a":[1],"a":[2,{"b":"]"}],"model":"NEW"}'),
        (b'{"a":"\\\\","model":"b\\"}"}', b'{"a":"\\\\","model":"NEW"}'),
    ],
)  # fmt: skip
def test_the_top_level_model_is_replaced_and_nothing_else(raw: bytes, expected: bytes) -> None:
    read_fields(raw)
    assert replace_model(raw, "NEW") == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.sampled_from(["model", '"model"', '{"model":"x"}', "\\", '"', "]", "}"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["model", "a", '"', "\\", "mode", "}"]) | st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
KEYS = st.sampled_from(['"model"', '"mod\\u0065l"', '"a"', '"\\"model"']) | st.text().map(
    json.dumps
)
LAYOUTS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n", "\t: ")])


@settings(deadline=None)
@given(
    st.lists(st.tuples(KEYS, JSON), max_size=6),
    st.text(min_size=1),
    st.integers(0, 6),
    LAYOUTS,
    st.booleans(),
)
def test_replacing_the_model_of_any_object_changes_that_and_no_other_byte(
    members: list[tuple[str, Any]], new: str, at: int, layout: tuple[str, str], ascii_only: bool
) -> None:
    members.insert(at, ('"model"', "old"))
    comma, colon = layout

    def written(pairs: list[tuple[str, str]]) -> bytes:
        inner = comma.join(key + colon + text for key, text in pairs)
        return f" {{ {inner} }} ".encode()

    texts = [
        (key, json.dumps(value, ensure_ascii=ascii_only, separators=layout))
        for key, value in members
    ]
    is_model = [json.loads(key) == "model" for key, _ in members]
    wanted = [
        (key, json.dumps(new, ensure_ascii=False) if hit else text)
        for hit, (key, text) in zip(is_model, texts, strict=True)
    ]
    raw, result = written(texts), replace_model(written(texts), new)
    assert json.loads(result) == {**json.loads(raw), "model": new}
    # What lies outside the new values is compared byte by byte; how those are escaped is free.
    marked = replace_model(raw, "N")
    plain = [
        (key, '"N"' if hit else text) for hit, (key, text) in zip(is_model, wanted, strict=True)
    ]
    assert marked == written(plain)


@settings(deadline=None)
@given(JSON, LAYOUTS, st.booleans())
def test_a_body_that_may_name_no_model_is_walked_through_or_left_alone(
    value: Any, layout: tuple[str, str], ascii_only: bool
) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only, separators=layout).encode()
    assert replace_any_model(raw, "new") == replace_each_model(raw, "new")


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_no_bytes_whatever_raise_anything_but_client_errors(raw: bytes) -> None:
    replace_model(raw, "x")
    with contextlib.suppress(ClientError):
        read_fields(raw)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ('{ "a":1, "model" : "m",\n "x":{"a":[2]} }', '{ "model" : "m",\n "x":{"a":[2]} }'),
        ('{"model":"m", "a": {"b":"}"} , "x":1}', '{"model":"m" , "x":1}'),
        ('{"model":"m", "b":[1,{"a":2}], "a":"\\"," }', '{"model":"m" }'),
        ('{"a":1,"b":2,"model":"m","a":3}', '{"model":"m"}'),
        ('{"\\u0061":1,"model":"m"}', '{"model":"m"}'),
        ('{"a":1,"model":"m","x":2,"b":{},"y":3}', '{"model":"m","x":2,"y":3}'),
    ],
)
def test_dropped_fields_are_cut_out_and_every_other_byte_stays(raw: str, kept: str) -> None:
    body, dropped = drop_fields(raw.encode(), ("a", "b", "c"))
    assert body == kept.encode()
    assert dropped == tuple(dict.fromkeys(name for name in json.loads(raw) if name in "ab"))


def test_a_body_without_the_fields_to_drop_is_the_same_object() -> None:
    raw = b'{"model": "m", "x": {"a": 1}}'
    assert drop_fields(raw, ("a",)) == (raw, ())
    assert drop_fields(b' {"a":1} ', ("a",)) == (b" {} ", ("a",))


@given(
    fields=st.dictionaries(
        st.text(max_size=4),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=6),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
            max_leaves=6,
        ),
        max_size=6,
    ),
    data=st.data(),
)
@settings(deadline=None)
def test_what_is_left_after_dropping_is_json_without_those_fields(
    fields: dict[str, Any], data: st.DataObject
) -> None:
    names = data.draw(st.sets(st.sampled_from([*sorted(fields), "none"])))
    kept, dropped = drop_fields(json.dumps(fields).encode(), names)
    assert json.loads(kept) == {key: value for key, value in fields.items() if key not in names}
    assert set(dropped) == names & set(fields)


def test_an_end_user_is_the_last_signal_and_is_told_as_a_hash() -> None:
    body = json.dumps({"model": "m", "user": "ada@example.com"}).encode()
    named = read_fields(body).session
    assert named.startswith("u_")
    assert "ada" not in named
    assert named == read_fields(body.replace(b'"user"', b'"safety_identifier"')).session
    both = json.dumps({"model": "m", "user": "ada", "prompt_cache_key": "thread-1"}).encode()
    assert read_fields(both).session == "thread-1"


@pytest.mark.parametrize(
    ("config", "reasoning"),
    [
        ({}, False),
        ({"thinkingConfig": {}}, True),
        ({"thinkingConfig": {"thinkingBudget": 0}}, False),
        ({"thinkingConfig": {"thinkingBudget": -1}}, True),
        ({"thinkingConfig": {"thinkingLevel": "MINIMAL"}}, False),
        ({"thinkingConfig": {"thinkingLevel": "high"}}, True),
        ({"thinkingConfig": "odd"}, False),
    ],
)
def test_a_body_without_model_and_gemini_s_word_on_thinking(
    config: dict[str, Any], *, reasoning: bool
) -> None:
    raw = json.dumps({"contents": [], "generationConfig": config}).encode()
    asked = read_unnamed(raw, model="coder", stream=True)
    assert (asked.model, asked.stream, asked.reasoning) == ("coder", True, reasoning)


def test_the_model_of_a_path_is_checked_as_one_of_a_body() -> None:
    for model in ("", "x" * 513, "a\x00b"):
        with pytest.raises(ClientError):
            read_unnamed(b"{}", model=model, stream=False)
    with pytest.raises(ClientError):
        read_unnamed(b"[]", model="m", stream=False)


def test_values_of_a_key_are_made_anew_and_all_else_is_kept() -> None:
    raw = b'{ "a" : [1, 2] , "b":{"a":3}, "a":"x" }'
    assert replace_values(raw, "a", lambda value: b"<" + value + b">") == (
        b'{ "a" : <[1, 2]> , "b":{"a":3}, "a":<"x"> }'
    )
    assert replace_values(raw, "c", lambda _: b"") == raw
