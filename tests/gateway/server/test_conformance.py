"""Our server beside aiohttp's: the same bytes in, the same bytes out, the same end."""

from __future__ import annotations

import asyncio
import gzip

import pytest
import uvloop

from tests.gateway.server.twins import (
    BODY_BYTES_MAX,
    EOF,
    Script,
    compare,
    talk,
    twins,
)


def post(
    *lines: bytes, body: bytes = b"", target: bytes = b"/v1/messages", version: bytes = b"1.1"
) -> bytes:
    """With a length, unless the lines tell one or the body's coding."""
    told = b"\r\n".join(lines).lower()
    framed = b"content-length" in told or b"transfer-encoding" in told
    length = () if framed else (b"Content-Length: %d" % len(body),)
    first = b"POST " + target + b" HTTP/" + version
    return b"\r\n".join([first, b"Host: x", *lines, *length, b"", b""]) + body


EARLY = b"/v1/messages?do=early"
CHUNKED = b"Transfer-Encoding: chunked"
LARGE = b"x" * (BODY_BYTES_MAX + 1)

PLAIN: dict[str, Script] = {
    "a request": [post(body=b"hello")],
    "no body": [post()],
    "no length": [b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n\r\n"],
    "two": [post(body=b"1"), post(body=b"2")],
    "query": [post(target=b"/v1/messages?beta=true&x=", body=b"q")],
    "stream": [post(target=b"/v1/messages?do=stream", body=b"s")],
    "stream, close": [post(b"Connection: close", target=b"/v1/messages?do=stream", body=b"s")],
    "empty stream": [post(target=b"/v1/messages?do=nothing")],
    "empty answer": [post(target=b"/v1/messages?do=empty"), post()],
    "close": [post(b"Connection: close", body=b"c"), post(body=b"never")],
    "Close": [post(b"CONNECTION:  Close", body=b"c")],
    "keep-alive": [post(b"Connection: Keep-Alive", b"Keep-Alive: timeout=5", body=b"k")],
    "headers": [
        post(b"X-A:  1 \t", b"x-a: 2", b"X-Empty:", b"X-\x7e|: \xc3\xa9 \xff\x80", body=b"h")
    ],
    "long header": [post(b"X-A: " + b"y" * 8000), post()],
    "many headers": [post(*[b"X-%d: y" % n for n in range(120)]), post()],
    "large body": [post(body=LARGE), post()],
    "large body, close": [post(b"Connection: close", body=LARGE)],
    "just small enough": [post(body=LARGE[:-1])],
    "exactly split": [post(body=b"hello")[:-5], b"hello"],
    "body in parts": [post(body=b"hello")[:-3], b"l", b"l", b"o" + post(body=b"next")],
    "early": [post(target=b"/v1/messages?do=early", body=b"abc"), post()],
    "early, in parts": [
        post(target=b"/v1/messages?do=early", body=b"abc")[:-2],
        b"b",
        b"c",
        post(),
    ],
    "early, in parts, close": [
        post(b"Connection: close", target=EARLY, body=b"abc")[:-2],
        b"b",
        b"c",
        post(),
    ],
    "early, unfinished, close": [post(b"Connection: close", target=EARLY, body=b"abc")[:-2]],
    "early, unfinished": [post(target=b"/v1/messages?do=early", body=b"abc")[:-2]],
    "statuses": [
        post(target=b"/v1/messages?status=%d" % n) for n in (201, 204, 304, 404, 529, 599)
    ],
    "streamed statuses": [
        post(target=b"/v1/messages?do=stream&status=%d" % n) for n in (201, 404, 599)
    ],
    "pipelined": [post(body=b"1") + post(body=b"2") + post(target=b"/v1/messages?do=stream")],
    "pipelined, close": [post(body=b"1") + post(b"Connection: close"), post(body=b"3")],
    "pipelined many": [b"".join(post(body=b"%d" % n) for n in range(50))],
    "pipelined much": [b"".join(post(body=b"%d" % n * 400) for n in range(400))],
    "eof": [post(body=b"hello"), EOF],
    "eof in a body": [post(body=b"hello")[:-2], EOF],
    "eof in a head": [post(body=b"hello")[:30], EOF],
    "nothing": [EOF],
}
OTHER: dict[str, Script] = {
    "get": [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    "head": [b"HEAD /v1/messages HTTP/1.1\r\nHost: x\r\n\r\n"],
    "put": [b"PUT /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"],
    "options": [b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"],
    "another path": [post(target=b"/v1/other", body=b"o"), post(body=b"h")],
    "ours, theirs, ours": [post(body=b"1"), post(target=b"/other", body=b"2"), post(body=b"3")],
    "pipelined to both": [post(body=b"1") + post(target=b"/other", body=b"2") + post(body=b"3")],
    "stream, then get": [
        post(target=b"/v1/messages?do=stream") + b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
    ],
    "1.0": [post(body=b"old", version=b"1.0"), post()],
    "1.0 keep-alive": [post(b"Connection: keep-alive", body=b"old", version=b"1.0"), post()],
    "escaped": [post(target=b"/v1/m%65ssages", body=b"e")],
    "absolute": [post(target=b"http://x/v1/messages", body=b"a")],
    "double slash": [post(target=b"//v1/messages")],
    "dots": [post(target=b"/v1/../v1/messages")],
    "fragment": [post(target=b"/v1/messages#f")],
    "slash": [post(target=b"/v1/messages/")],
    "expect": [post(b"Expect: 100-continue", body=b"hello")[:-5], b"hello"],
    "upgrade": [post(b"Upgrade: websocket", b"Connection: Upgrade", body=b"u")],
    "upgrade h2c": [post(b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings"), post()],
    "connection list": [post(b"Connection: close, x-a", body=b"c")],
    "trailers": [
        post(CHUNKED, b"Trailer: x-t") + b"2\r\nab\r\n0\r\nX-T: 1\r\n\r\n" + post(body=b"next")
    ],
    "chunked": [post(CHUNKED) + b"5;ext=1\r\nhello\r\n0\r\n\r\n", post(body=b"next")],
    "chunked in parts": [post(CHUNKED), b"5\r\nhe", b"llo\r", b"\n0\r\n", b"\r\n", post()],
    "chunked large": [post(CHUNKED) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE), post()],
    "gzip": [post(b"Content-Encoding: gzip", body=gzip.compress(b"zip")), post(body=b"next")],
    "gzip large": [post(b"Content-Encoding: gzip", body=gzip.compress(LARGE)), post()],
    "gzip broken": [post(b"Content-Encoding: gzip", body=b"no gzip"), post()],
    "http 0.9": [b"POST /v1/messages\r\n\r\n"],
    "http 2": [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    "tls": [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    "blank lines before": [b"\r\n\r\n" + post(body=b"b"), post()],
}
HOSTILE: dict[str, Script] = {
    "length and chunks": [post(b"Content-Length: 5", CHUNKED) + b"0\r\n\r\nG"],
    "chunks and length": [post(CHUNKED, b"Content-Length: 5") + b"0\r\n\r\nG"],
    "two lengths": [post(b"Content-Length: 5", b"Content-Length: 6", body=b"123456")],
    "two same lengths": [post(b"Content-Length: 5", b"Content-Length: 5", body=b"12345")],
    "list of lengths": [post(b"Content-Length: 5, 5", body=b"12345")],
    "signed length": [post(b"Content-Length: +5", body=b"12345")],
    "negative length": [post(b"Content-Length: -5", body=b"12345")],
    "hex length": [post(b"Content-Length: 0x5", body=b"12345")],
    "spaced length": [post(b"Content-Length: 1 2", body=b"123456789012")],
    "underscored length": [post(b"Content-Length: 1_0", body=b"1234567890")],
    "long length": [post(b"Content-Length: " + b"9" * 30, body=b"1")],
    "empty length": [post(b"Content-Length:", body=b"1")],
    "padded length": [post(b"Content-Length:   \t5 ", body=b"12345"), post()],
    "zeros in front": [post(b"Content-Length: 0005", body=b"12345"), post()],
    "folded": [post(b"X-A: 1", b" 2", body=b"f")],
    "folded length": [post(b"Content-Length:", b" 5", body=b"12345")],
    "space before colon": [post(b"Content-Length : 5", body=b"12345")],
    "space before name": [post(b" Content-Length: 5", body=b"12345")],
    "no colon": [post(b"Nonsense", body=b"n")],
    "no name": [post(b": 5", body=b"n")],
    "bare lf": [post(b"X-A: 1\nX-B: 2", body=b"n")],
    "bare lf everywhere": [post(body=b"n").replace(b"\r\n", b"\n")],
    "bare cr": [post(b"X-A: 1\rX-B: 2", body=b"n")],
    "nul": [post(b"X-A: 1\0", body=b"n")],
    "control": [post(b"X-A: \x1b[0m", body=b"n")],
    "delete": [post(b"X-A: \x7f", body=b"n")],
    "tab": [post(b"X-A: 1\t2", body=b"n")],
    "odd name": [post(b"X(A): 1", body=b"n")],
    "name that is no text": [post(b"X-\xc3\xa9: 1", body=b"n")],
    "no host": [b"POST /v1/messages HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"],
    "two hosts": [post(b"Host: y", body=b"n")],
    "empty host": [b"POST /v1/messages HTTP/1.1\r\nHost:\r\nContent-Length: 1\r\n\r\nx"],
    "two types": [post(b"Content-Type: a/b", b"content-type: a/b", body=b"n")],
    "two agents": [post(b"User-Agent: a", b"User-Agent: a", body=b"n")],
    "chunked twice": [post(b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n"],
    "chunked not last": [post(b"Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n"],
    "unknown coding": [post(b"Transfer-Encoding: zork") + b"0\r\n\r\n"],
    "disguised coding": [post(b"Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n"],
    "bad chunk size": [post(CHUNKED) + b"xyz\r\nhello\r\n0\r\n\r\n"],
    "signed chunk size": [post(CHUNKED) + b"+5\r\nhello\r\n0\r\n\r\n"],
    "huge chunk size": [post(CHUNKED) + b"f" * 20 + b"\r\nhello\r\n0\r\n\r\n"],
    "chunk without end": [post(CHUNKED) + b"5\r\nhelloX\r\n0\r\n\r\n"],
    "lf chunk": [post(CHUNKED) + b"5\nhello\n0\n\n"],
    "two spaces": [post(body=b"n").replace(b"POST ", b"POST  ")],
    "lower case": [post(body=b"n").replace(b"POST", b"post")],
    "no target": [b"POST  HTTP/1.1\r\nHost: x\r\n\r\n"],
    "control in the target": [post(target=b"/v1/mess\x01ages")],
    "high bytes in the target": [post(target=b"/v1/mess\xff")],
    "version 1.2": [post(body=b"n", version=b"1.2")],
    "version 2.0": [post(body=b"n", version=b"2.0")],
    "version with more": [post(body=b"n", version=b"1.1x")],
    "long target": [post(target=b"/v1/messages?" + b"x" * 9000)],
    "long line": [post(b"X-A: " + b"y" * 9000)],
    "long name": [post(b"X" * 9000 + b": y")],
    "too many headers": [post(*[b"X-%d: y" % n for n in range(150)])],
    "large head": [post(*[b"X-%d: " % n + b"y" * 1000 for n in range(30)]), post()],
    "hidden request": [post(body=b"5", target=EARLY), b"GET /x HTTP/1.1\r\n\r\n"],
    "garbage behind": [post(body=b"5"), b"\0\0\0\0"],
    "garbage behind a stream": [post(target=b"/v1/messages?do=stream"), b"POST\r\n\r\n"],
    "old websocket": [post(b"Sec-WebSocket-Key1: 1", body=b"n")],
}
SPLIT = {
    "plain": post(b"X-A: 1", body=b"hello"),
    "pipelined": post(target=b"/v1/messages?do=stream", body=b"a") + post(body=b"b"),
    "theirs": post(body=b"1") + post(target=b"/o", body=b"2"),
    "bad": post(b"X-A : 1", body=b"hello"),
}


@pytest.mark.parametrize("kind", [PLAIN, OTHER, HOSTILE], ids=["plain", "other", "hostile"])
async def test_both_servers_say_the_same(kind: dict[str, Script]) -> None:
    async with twins() as (own, oracle):
        await compare(own, oracle, list(kind.values()))
        assert sorted(map(repr, own.application.told)) == sorted(map(repr, oracle.application.told))


def test_they_do_on_the_loop_that_serves_as_well() -> None:
    async def all_at_once() -> None:
        async with twins() as (own, oracle):
            await compare(own, oracle, [*PLAIN.values(), *OTHER.values(), *HOSTILE.values()])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(all_at_once())


@pytest.mark.parametrize("name", SPLIT)
async def test_it_does_not_matter_where_bytes_are_split(name: str) -> None:
    data = SPLIT[name]
    scripts: list[Script] = [[data[:at], data[at:]] for at in range(1, len(data))]
    scripts.append([data[at : at + 1] for at in range(len(data))])
    async with twins() as (own, oracle):
        whole = await talk(oracle.port, [data])
        assert whole.data
        await compare(own, oracle, scripts)
        answers = {(await talk(own.port, each)).data for each in scripts[::37]}
        assert answers == {whole.data}
