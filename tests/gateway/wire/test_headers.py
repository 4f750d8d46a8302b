from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.base import ClientError
from gateway.wire.headers import (
    ClientHeaders,
    client_keys,
    client_retries,
    credential_header,
    deadline_seconds,
    default_version,
    first_values,
    no_fallback,
    session,
    to_client,
    to_upstream,
    to_upstream_query,
    traceparent,
    wants_events,
    with_alt,
)


def test_client_keys_are_collected_in_order_and_once() -> None:
    headers = [
        ("api-key", "four"),
        ("X-Goog-Api-Key", " three "),
        ("x-api-key", "one"),
        ("AUTHORIZATION", "bearer  one"),
    ]
    assert client_keys(first_values(headers), "five") == ["one", "three", "four", "five"]


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic abc", "sk-1", "Bearer a b", "Bearer a\udce9"]
)
def test_what_is_no_bearer_token_is_no_key(value: str) -> None:
    assert client_keys(first_values([("Authorization", value)]), "") == []


KEPT_TO_UPSTREAM = [
    ("anthropic-version", "2026-10-21"),
    ("anthropic-beta", "a"),
    ("Anthropic-Beta", "b"),
    ("openai-beta", "x"),
    ("User-Agent", "claude-cli"),
    ("x-stainless-retry-count", "0"),
    ("x-app", "cli"),
    ("content-type", "application/json"),
    ("accept", "*/*"),
    ("x-session-affinity", "ses_1"),
    ("x-brand-new", "1"),
]
DROPPED_TO_UPSTREAM = [
    "Host", "Content-Length", "Accept-Encoding", "Content-Encoding", "Expect", "Cookie", "Connection",
    "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Authorization",
    "Proxy-Connection", "Authorization", "X-Api-Key", "X-Goog-Api-Key", "Api-Key",
    "X-Evenkeel-Session", "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "Via", "X-Real-IP",
    "Traceparent", "Tracestate", "Baggage", "OpenAI-Organization", "OpenAI-Project", "CF-Connecting-IP",
]  # fmt: skip


def test_upstream_gets_what_is_unknown_and_nothing_of_the_caller_s_own() -> None:
    headers = [*KEPT_TO_UPSTREAM, *((name, "x") for name in DROPPED_TO_UPSTREAM)]
    assert to_upstream(headers) == KEPT_TO_UPSTREAM


def test_headers_named_in_connection_stay_on_their_hop() -> None:
    headers = [("connection", "close, X-Hop"), ("Connection", "x-two"), ("x-hop", "1")]
    more = [("X-Two", "2"), ("x-three", "3")]
    assert to_upstream([*headers, *more]) == [("x-three", "3")]
    assert to_client([*headers, *more]) == [("x-three", "3")]


@pytest.mark.parametrize(
    ("query", "passed"),
    [
        ("", ""),
        ("beta=true", "beta=true"),
        ("key=secret&beta=true&x=%20", "beta=true&x=%20"),
        ("beta=true&%6Bey=secret&API_KEY=secret&keys=2", "beta=true&keys=2"),
    ],
)
def test_the_query_goes_on_without_the_client_s_key(query: str, passed: str) -> None:
    assert to_upstream_query(query) == passed


@pytest.mark.parametrize(
    ("dialect", "version", "key", "expected"),
    [
        ("openai", None, "k", ("Authorization", "Bearer k")),
        ("openai", "2023-06-01", "k", ("Authorization", "Bearer k")),
        ("anthropic", None, "k", ("x-api-key", "k")),
        ("anthropic", "2023-06-01", "k", ("x-api-key", "k")),
        ("anthropic", "2026-10-20", "k", ("x-api-key", "k")),
        ("anthropic", "2026-10-21", "k", ("Authorization", "Bearer k")),
        ("anthropic", "2027-01-01", "k", ("Authorization", "Bearer k")),
        ("anthropic", "newest", "k", ("x-api-key", "k")),
        ("anthropic", None, "sk-ant-oat01-x", ("Authorization", "Bearer sk-ant-oat01-x")),
        ("anthropic", None, "", None),
        ("openai", None, "", None),
    ],
)
def test_the_credential_goes_into_the_header_the_provider_reads(
    dialect: str, version: str | None, key: str, expected: tuple[str, str] | None
) -> None:
    headers = [("Anthropic-Version", version)] if version else []
    assert credential_header(dialect, headers, key) == expected


def test_the_version_is_added_only_where_the_client_sent_none() -> None:
    assert default_version("anthropic", []) == ("anthropic-version", "2023-06-01")
    assert default_version("anthropic", [("Anthropic-Version", "2026-10-21")]) is None
    assert default_version("openai", []) is None


KEPT_TO_CLIENT = [
    ("request-id", "r"),
    ("x-request-id", "r"),
    ("openai-processing-ms", "1"),
    ("openai-version", "2020-10-01"),
    ("Retry-After", "2"),
    ("retry-after-ms", "1500"),
    ("x-should-retry", "true"),
    ("content-type", "text/event-stream"),
    ("cf-ray", "x"),
    ("x-brand-new", "1"),
    ("x-brand-new", "2"),
]
DROPPED_TO_CLIENT = [
    "Connection", "Transfer-Encoding", "Content-Length", "Content-Encoding", "Set-Cookie", "Server",
    "Date", "Alt-Svc", "Strict-Transport-Security", "X-Evenkeel-Target", "OpenAI-Organization",
    "OpenAI-Project", "Anthropic-Organization-Id", "Anthropic-Workspace-Id",
    "Anthropic-Ratelimit-Unified-Status", "X-RateLimit-Reset-Tokens", "RateLimit-Policy",
    "X-Rate-Limit-Limit", "Access-Control-Allow-Origin", "WWW-Authenticate",
]  # fmt: skip


def test_the_client_gets_what_is_unknown_and_nothing_of_the_operator_s_account() -> None:
    headers = [*KEPT_TO_CLIENT, *((name, "x") for name in DROPPED_TO_CLIENT)]
    assert to_client(headers) == KEPT_TO_CLIENT


ORDER = [
    "x-evenkeel-session",
    "X-Session-Id",
    "X-Claude-Code-Session-Id",
    "session-id",
    "session_id",
    "thread-id",
    "conversation_id",
    "x-session-affinity",
]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_most_telling_session_header_wins(first: int) -> None:
    headers = [(name, f"id-{name}") for name in reversed(ORDER[first:])]
    assert session(first_values(headers)) == f"id-{ORDER[first]}"


def test_a_session_id_that_cannot_be_used_gives_way_to_the_next() -> None:
    headers = [("x-evenkeel-session", "x" * 257), ("x-session-id", "a\x07"), ("session-id", "s")]
    assert session(first_values(headers)) == "s"


@pytest.mark.parametrize(
    ("agent", "originator", "found"),
    [
        ("codex_exec/0.169.0 (Linux)", "", "thread"),
        ("Codex/1", "", "thread"),
        ("pi/0.9", "", "thread"),
        ("node", "codex_cli_rs", "thread"),
        ("pip/26", "", ""),
        ("python-httpx", "", ""),
    ],
)
def test_the_client_request_id_is_a_session_only_for_agents_that_keep_it(
    agent: str, originator: str, found: str
) -> None:
    headers = [("user-agent", agent), ("originator", originator), ("x-client-request-id", "thread")]
    assert session(first_values(headers)) == found


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"00-{TRACE}-{SPAN}-01", (TRACE, SPAN, True)),
        (f" 00-{TRACE}-{SPAN}-00 ", (TRACE, SPAN, False)),
        (f"00-{TRACE}-{SPAN}-03", (TRACE, SPAN, True)),
        (f"cc-{TRACE}-{SPAN}-01-what-ever", (TRACE, SPAN, True)),
        (f"00-{TRACE}-{SPAN}-01-what-ever", None),
        (f"cc-{TRACE}-{SPAN}-01.more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE[1:]}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        ("", None),
    ],
)
def test_a_traceparent_is_taken_only_if_it_is_valid(
    value: str, expected: tuple[str, str, bool] | None
) -> None:
    assert traceparent([("Traceparent", value)]) == expected


def test_two_traceparents_are_none() -> None:
    one = ("traceparent", f"00-{TRACE}-{SPAN}-01")
    assert traceparent([one, one]) is None
    assert traceparent([]) is None


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*ORDER, "connection", "authorization", "traceparent", "user-agent"])
            | st.text(),
            st.text(st.characters()),
        )
    ),
    st.text(st.characters()),
)
def test_no_headers_whatever_raise(headers: list[tuple[str, str]], text: str) -> None:
    for key in client_keys(first_values(headers), text):
        key.encode()
    to_upstream(headers)
    to_client(headers)
    to_upstream_query(text)
    session(first_values(headers)).encode()
    traceparent(headers)
    read = ClientHeaders(headers)
    assert read.upstream == to_upstream(headers)
    assert read.first == first_values(headers)
    assert read.session(text) == session(read.first, text)
    assert read.traceparent() == traceparent(headers)
    default_version("anthropic", headers)
    credential_header("anthropic", headers, text)


def test_a_client_s_deadline_is_read_from_its_header() -> None:
    assert deadline_seconds({}) is None
    assert deadline_seconds(first_values([("X-Evenkeel-Deadline-Seconds", " 2.5 ")])) == 2.5


@pytest.mark.parametrize("value", ["", "soon", "0", "-1", "nan", "inf", "1e9"])
def test_a_deadline_that_is_no_time_is_the_client_s_fault(value: str) -> None:
    with pytest.raises(ClientError, match="deadline-seconds") as caught:
        deadline_seconds(first_values([("x-evenkeel-deadline-seconds", value)]))
    assert (caught.value.status, caught.value.code) == (400, "invalid_request")


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_a_client_may_want_no_fallback(value: str) -> None:
    assert no_fallback(first_values([("X-Evenkeel-No-Fallback", value)]))


@pytest.mark.parametrize("value", ["", "0", "False", "no", "off"])
def test_a_header_that_says_no_changes_nothing(value: str) -> None:
    assert not no_fallback(first_values([("x-evenkeel-no-fallback", value)]))
    assert not no_fallback(first_values([]))


@pytest.mark.parametrize(
    ("value", "retries"), [("2", 2), ("0", 0), ("", 0), ("-1", 0), ("²", 0), ("9999", 0), ("x", 0)]
)
def test_an_sdk_says_how_often_it_has_asked_already(value: str, retries: int) -> None:
    assert client_retries(first_values([("X-Stainless-Retry-Count", value)])) == retries
    assert client_retries(first_values([])) == 0


def test_a_user_s_session_in_the_body_stands_behind_the_operator_s_and_before_codex_s() -> None:
    for name in ("x-evenkeel-session", "x-session-id", "x-claude-code-session-id"):
        assert session(first_values([(name, "header")]), "user") == "header"
    for name in ("session-id", "session_id", "thread-id", "conversation_id", "x-session-affinity"):
        assert session(first_values([(name, "header")]), "user") == "user"
        assert session(first_values([(name, "header")])) == "header"
    assert session(first_values([]), "user") == "user"


def test_gemini_s_key_travels_in_its_own_header_unless_it_is_a_token() -> None:
    assert credential_header("gemini", [], "AIza1") == ("x-goog-api-key", "AIza1")
    assert credential_header("gemini", [], "ya29.x") == ("Authorization", "Bearer ya29.x")
    assert credential_header("gemini", [], "") is None


def test_gemini_s_streams_are_asked_for_as_events_whatever_the_client_wants() -> None:
    assert with_alt("alt=json&%24alt=x&fields=a", stream=True) == "fields=a&alt=sse"
    assert with_alt("", stream=True) == "alt=sse"
    assert with_alt("alt=sse&a=1", stream=False) == "a=1"
    assert wants_events("a=1&alt=sse")
    assert wants_events("$alt=sse")
    assert not wants_events("alt=json")
    assert not wants_events("")


def test_going_through_them_once_tells_the_same() -> None:
    headers = [
        ("Traceparent", f"00-{TRACE}-{SPAN}-01"),
        ("User-Agent", "codex_exec/1"),
        ("X-Client-Request-Id", "thread"),
        ("x-client-request-id", "another"),
        ("X-Evenkeel-Deadline-Seconds", "2"),
        ("X-Evenkeel-No-Fallback", "1"),
        ("X-Stainless-Retry-Count", "3"),
        ("Authorization", "Bearer k"),
        ("Connection", "Keep-Alive"),
    ]
    read = ClientHeaders(headers)
    assert (read.session(), read.deadline_seconds(), read.client_retries()) == ("thread", 2.0, 3)
    assert read.no_fallback()
    assert read.traceparent() == (TRACE, SPAN, True)
    assert read.upstream == to_upstream(headers)
    hop = [("connection", "keep-alive"), ("Connection", "x-hop, close"), ("X-Hop", "1"), ("b", "2")]
    assert ClientHeaders(hop).upstream == to_upstream(hop) == [("b", "2")]
    nothing = ClientHeaders([])
    assert (nothing.session("u"), nothing.deadline_seconds(), nothing.client_retries()) == (
        "u",
        None,
        0,
    )
    assert not nothing.no_fallback()
    assert nothing.traceparent() is None
