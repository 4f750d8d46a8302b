"""Against real servers: what is sent, what comes back, and every row of the exception map."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest

from gateway.config import Timeouts
from gateway.events import Failure
from gateway.upstream.base import Outgoing, Reply, Upstream, UpstreamFailure, chunks
from gateway.upstream.direct import DirectUpstream, failure_of, open_session
from gateway.upstream.http1.pool import Pool
from gateway.upstream.http1.upstream import Http1Upstream
from tests.gateway.upstream.sending import outgoing, raw_server, read, writes
from tests.upstream import Answer, ScriptedUpstream

QUICK = Timeouts(connect_seconds=0.1, headers_seconds=0.1)
OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture(params=["aiohttp", "own"])
async def direct(request: pytest.FixtureRequest) -> AsyncIterator[Upstream]:
    """Both clients: aiohttp's is the other's oracle."""
    async with open_session() as session:
        aiohttps = DirectUpstream(session)
        if request.param == "aiohttp":
            yield aiohttps
            return
        pool = Pool()
        yield Http1Upstream(pool, aiohttps)
        await pool.close()


async def failing(direct: Upstream, call: Outgoing) -> tuple[Failure, str, bool]:
    """How `call` fails, in its head or in its body."""
    with pytest.raises(UpstreamFailure) as caught:
        await _sent_and_read(direct, call)
    assert call.provider.base_url not in str(caught.value)
    return caught.value.failure, caught.value.reason, caught.value.processed


async def _sent_and_read(direct: Upstream, call: Outgoing) -> None:
    reply = await direct.send(call)
    try:
        await read(reply)
    finally:
        await reply.close()


# -- what is sent ----------------------------------------------------------------------------------


async def test_path_query_headers_and_body_arrive_as_they_were_given(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    body = b'{"model": "model-a",  "note":"\\u00e9 \xc3\xa9"}'
    headers = (
        ("Content-Type", "application/json"),
        ("User-Agent", "client/1.0"),
        ("X-Twice", "a"),
        ("x-twice", "b"),
    )
    query = "beta=true&x=%2f%2F+a%20b&q=a'b"
    call = outgoing(upstream.openai_url, query=query, headers=headers, body=body)
    reply = await direct.send(call)
    await read(reply)
    await reply.close()
    (hit,) = upstream.hits
    assert (hit.method, hit.path, hit.query) == ("POST", "/v1/chat/completions", query)
    assert hit.body == body
    named = {"content-type", "user-agent", "x-twice", "accept", "accept-encoding", "authorization"}
    found = [pair for pair in hit.headers if pair[0].lower() in named]
    assert found[:3] == [*headers[:3]]
    # aiohttp needs one spelling of a name that comes twice.
    assert found[3] in (("X-Twice", "b"), ("x-twice", "b"))
    assert found[4:] == [("Authorization", "Bearer key-1"), ("Accept-Encoding", "identity")]


async def test_nothing_is_added_that_the_client_did_not_send(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    reply = await direct.send(outgoing(upstream.openai_url, headers=(), key=""))
    await read(reply)
    names = [name.lower() for name, _ in upstream.hits[0].headers]
    assert sorted(names) == ["accept-encoding", "content-length", "host"]


@pytest.mark.parametrize(
    ("version", "name", "value"),
    [
        (None, "x-api-key", "key-1"),
        ("2023-06-01", "x-api-key", "key-1"),
        ("2026-10-21", "Authorization", "Bearer key-1"),
    ],
)
async def test_anthropic_gets_its_key_in_the_form_of_the_clients_version(
    direct: Upstream, upstream: ScriptedUpstream, version: str | None, name: str, value: str
) -> None:
    headers = (("anthropic-version", version),) if version else ()
    reply = await direct.send(outgoing(upstream.url, dialect="anthropic", headers=headers))
    await read(reply)
    (hit,) = upstream.hits
    assert hit.path == "/v1/messages"
    assert hit.header(name) == value
    assert hit.header("anthropic-version") == (version or "2023-06-01")
    assert len({"authorization", "x-api-key"} & {n.lower() for n, _ in hit.headers}) == 1


async def test_cookies_of_a_provider_are_not_sent_back_to_it(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    upstream.default = Answer(headers={"set-cookie": "a=b; Path=/"})
    for _ in range(2):
        await read(await direct.send(outgoing(upstream.openai_url)))
    assert [hit.header("cookie") for hit in upstream.hits] == [None, None]


# -- what comes back -------------------------------------------------------------------------------


async def test_a_single_answer_comes_byte_for_byte_and_its_connection_serves_the_next(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    body = b'{"a":  1}\n'
    upstream.default = Answer(status=201, body=body, headers={"X-Request-Id": "r1"})
    for _ in range(3):
        reply = await direct.send(outgoing(upstream.openai_url))
        assert (reply.status, reply.headers["x-request-id"]) == (201, "r1")
        assert "r1" in dict(reply.pairs()).values()
        assert await read(reply) == body
        await reply.close()
        await reply.close()
    assert upstream.connections == 1


async def test_repeated_headers_stay_repeated(direct: Upstream) -> None:
    head = OK_HEAD + b"X-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\n\r\n"
    async with raw_server(writes(head, b"{}")) as url:
        reply = await direct.send(outgoing(url))
        assert [pair for pair in reply.pairs() if pair[0].lower() == "x-a"] == [
            ("X-A", "1"),
            ("x-a", "2"),
        ]
        await reply.close()


async def test_stream_chunks_come_before_the_stream_is_over(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    gate = asyncio.Event()
    upstream.default = Answer(before_content=gate)
    reply = await direct.send(outgoing(upstream.openai_url, stream=True))
    first = await reply.chunk()
    assert first is not None
    assert b'"role":"assistant"' in first
    gate.set()
    rest = await read(reply)
    assert rest.endswith(b"data: [DONE]\n\n")
    await reply.close()


async def test_an_answer_that_is_compressed_all_the_same_comes_decoded(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    packed = gzip.compress(b'{"packed": true}')
    upstream.default = Answer(body=packed, headers={"content-encoding": "gzip"})
    assert await read(await direct.send(outgoing(upstream.openai_url))) == b'{"packed": true}'


async def test_errors_and_redirects_come_back_as_answers(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    for status in (302, 307, 404, 429, 500, 529):
        planned = Answer(status=status, headers={"location": f"{upstream.url}/x"}, body=b"no")
        upstream.plan(planned)
        reply = await direct.send(outgoing(upstream.openai_url))
        assert (reply.status, await read(reply)) == (status, b"no")
        await reply.close()
    assert {hit.path for hit in upstream.hits} == {"/v1/chat/completions"}


async def test_a_head_of_forty_kilobytes_is_read(direct: Upstream) -> None:
    policy = b"Content-Security-Policy: " + b"a" * 40_000 + b"\r\n"
    async with raw_server(writes(OK_HEAD + policy + b"Content-Length: 2\r\n\r\n{}")) as url:
        assert await read(await direct.send(outgoing(url))) == b"{}"


# -- ending a call ---------------------------------------------------------------------------------


async def test_closing_an_unread_answer_ends_the_call_upstream(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    upstream.default = Answer(hang_after=1)
    reply = await direct.send(outgoing(upstream.openai_url, stream=True))
    await reply.chunk()
    await reply.close()
    await reply.close()
    await upstream.hits[0].until_disconnected()


async def test_a_cancelled_send_ends_the_call_upstream(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    upstream.default = Answer(hang=True)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(direct.send(outgoing(upstream.openai_url)))
        await upstream.until_hits(1)
        task.cancel()
    assert task.cancelled()
    await upstream.hits[0].until_disconnected()


async def test_a_reader_that_is_cancelled_can_still_close(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    upstream.default = Answer(hang_after=0)
    reply = await direct.send(outgoing(upstream.openai_url, stream=True))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await read(reply)
    await reply.close()
    await upstream.hits[0].until_disconnected()


# -- the exception map -----------------------------------------------------------------------------


async def test_a_closed_port_is_refused_and_surely_not_processed(direct: Upstream) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        call = outgoing(f"http://127.0.0.1:{port}")
        assert await failing(direct, call) == (Failure.CONNECT, "refused", False)


async def test_a_host_without_address_is_a_dns_failure(direct: Upstream) -> None:
    call = outgoing("http://no-such-host.invalid")
    assert await failing(direct, call) == (Failure.CONNECT, "dns", False)


async def test_a_port_that_speaks_no_tls_is_a_tls_failure(direct: Upstream) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with raw_server(plain) as url:
        call = outgoing(url.replace("http:", "https:"))
        assert await failing(direct, call) == (Failure.CONNECT, "tls", False)


async def test_a_handshake_that_never_ends_is_a_connect_timeout(direct: Upstream) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(silent) as url:
        call = outgoing(url.replace("http:", "https:"), timeouts=QUICK)
        assert await failing(direct, call) == (Failure.CONNECT, "connect_timeout", False)


async def test_a_url_of_another_scheme_is_a_bad_url(direct: Upstream) -> None:
    for url in ("ftp://127.0.0.1", "no url", "http://"):
        assert await failing(direct, outgoing(url)) == (Failure.CONNECT, "bad_url", False)


async def test_a_key_with_a_line_break_is_not_sent(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    call = outgoing(upstream.openai_url, key="key\r\nx-evil: 1")
    assert await failing(direct, call) == (Failure.UNKNOWN, "unsendable", False)
    assert upstream.hits == []


async def test_headers_that_do_not_come_in_time_end_the_call(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    upstream.default = Answer(hang=True)
    call = outgoing(upstream.openai_url, timeouts=QUICK)
    slow = (Failure.FIRST_CONTENT_TIMEOUT, "headers_timeout", True)
    assert await failing(direct, call) == slow
    await upstream.hits[0].until_disconnected()


async def test_the_headers_clock_runs_on_a_kept_connection_too(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    upstream.plan(Answer(), Answer(hang=True))
    await read(await direct.send(outgoing(upstream.openai_url)))
    call = outgoing(upstream.openai_url, timeouts=QUICK)
    assert (await failing(direct, call))[1] == "headers_timeout"
    assert upstream.connections == 1


async def test_the_headers_clock_does_not_time_the_body(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    gate = asyncio.Event()
    upstream.default = Answer(before_content=gate)
    reply = await direct.send(outgoing(upstream.openai_url, stream=True, timeouts=QUICK))
    await asyncio.sleep(0.15)
    gate.set()
    assert (await read(reply)).endswith(b"data: [DONE]\n\n")


async def test_a_reset_before_the_headers_may_have_been_processed(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    upstream.default = Answer(reset=True)
    call = outgoing(upstream.openai_url)
    assert await failing(direct, call) == (Failure.RESET_BEFORE_CONTENT, "reset", True)


async def test_a_server_that_hangs_up_before_the_headers_disconnected(
    direct: Upstream,
) -> None:
    async with raw_server(writes()) as url:
        gone = (Failure.RESET_BEFORE_CONTENT, "disconnected", True)
        assert await failing(direct, outgoing(url)) == gone


async def test_a_kept_connection_that_the_server_closes_at_reuse_is_not_asked_twice(
    direct: Upstream,
) -> None:
    heads = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heads
        for part in (OK_HEAD + b"Content-Length: 2\r\n\r\n{}", b""):
            await reader.readuntil(b"\r\n\r\n")
            heads += 1
            writer.write(part)
        writer.close()

    async with raw_server(once) as url:
        small = outgoing(url, body=b"")
        assert await read(await direct.send(small)) == b"{}"
        gone = (Failure.RESET_BEFORE_CONTENT, "disconnected", True)
        assert await failing(direct, small) == gone
    assert heads == 2


@pytest.mark.parametrize(
    "head",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x16\x03\x01\x02\x00garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        OK_HEAD + b"X: " + b"a" * 300_000 + b"\r\n\r\n",
        OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    ],
    ids=["another protocol", "tls on a plain port", "a broken header", "too long", "a bad chunk"],
)
async def test_what_is_no_http_is_a_bad_success(direct: Upstream, head: bytes) -> None:
    async with raw_server(writes(head)) as url:
        assert await failing(direct, outgoing(url)) == (Failure.BAD_SUCCESS, "bad_http", True)


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 100\r\n\r\nonly this",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
    ids=["shorter than promised", "no last chunk"],
)
async def test_a_body_that_is_not_whole_is_truncated(direct: Upstream, rest: bytes) -> None:
    async with raw_server(writes(OK_HEAD + rest)) as url:
        truncated = (Failure.RESET_BEFORE_CONTENT, "truncated", True)
        assert await failing(direct, outgoing(url)) == truncated


async def test_a_body_without_a_stated_end_may_end_anywhere(direct: Upstream) -> None:
    async with raw_server(writes(OK_HEAD + b"\r\nall of it")) as url:
        assert await read(await direct.send(outgoing(url))) == b"all of it"


async def test_a_body_that_is_not_what_its_encoding_says_is_a_bad_success(
    direct: Upstream,
) -> None:
    head = OK_HEAD + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!"
    async with raw_server(writes(head)) as url:
        bad = (Failure.BAD_SUCCESS, "bad_encoding", True)
        assert await failing(direct, outgoing(url)) == bad


async def test_a_stream_cut_within_its_body_gives_what_came_and_then_fails(
    direct: Upstream, upstream: ScriptedUpstream
) -> None:
    upstream.default = Answer(cut_after=2)
    reply = await direct.send(outgoing(upstream.openai_url, stream=True))
    got: list[bytes] = []
    with pytest.raises(UpstreamFailure) as caught:
        await _collect(reply, got)
    assert b" from" in b"".join(got)
    assert b"upstream." not in b"".join(got)
    assert caught.value.failure is Failure.RESET_BEFORE_CONTENT
    assert caught.value.reason == "truncated"
    await reply.close()


async def _collect(reply: Reply, into: list[bytes]) -> None:
    async for chunk in chunks(reply):
        into += [chunk]


def test_exceptions_without_a_server_to_raise_them_have_their_row_too() -> None:
    rows: list[tuple[Exception, str, bool]] = [
        (ssl.SSLError("bad"), "tls", False),
        (socket.gaierror(-2, "no name"), "dns", False),
        (aiohttp.ConnectionTimeoutError("slow"), "connect_timeout", False),
        (aiohttp.ServerDisconnectedError(), "disconnected", True),
        (aiohttp.ClientConnectionResetError("closing"), "reset", True),
        (ConnectionResetError("peer"), "reset", True),
        (BrokenPipeError(32, "pipe"), "reset", True),
        (TimeoutError(), "reset", True),
        (ValueError("newline"), "unsendable", False),
    ]
    for error, reason, processed in rows:
        found = failure_of(error, connected=True)
        assert (found.reason, found.processed) == (reason, processed)
    assert failure_of(OSError("no route"), connected=False).processed is False
