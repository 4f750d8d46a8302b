"""Provider and load, in both languages: the same answers, the same idea of a whole one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.benchmarks.http_bytes import STAMP, Steer, request
from tests.benchmarks.load import Took
from tests.benchmarks.native import HERE, Driver, NativeDriver, PythonDriver, compiler
from tests.benchmarks.subjects import PROGRAMS, Subject, direct
from tests.programs import ProgramMissing

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def has_compiler() -> None:
    """Without one the benchmarks use Python, so that is a loud skip everywhere."""
    if compiler() is None:
        why = "no C compiler: provider.c and load.c are not tried (make bench-deps)"
        with warnings.catch_warnings():
            warnings.simplefilter("always", ProgramMissing)
            warnings.warn(why, ProgramMissing, stacklevel=2)
        pytest.skip(why)


@pytest.fixture(params=["C", "Python"])
def driver(request: pytest.FixtureRequest) -> Driver:
    if request.param == "Python":
        return PythonDriver()
    has_compiler()
    return NativeDriver(PROGRAMS)


@pytest.fixture(params=["C", "Python"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    if request.param == "C":
        has_compiler()
    with direct(tmp_path, native=request.param == "C") as subject:
        yield subject


def asked(port: int, path: str, body: object, **headers: str) -> tuple[int, bytes]:
    url = f"http://127.0.0.1:{port}{path}"
    try:
        with urlopen(Request(url, json.dumps(body).encode(), headers)) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def say(steer: str, **more: object) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": f"hello {steer}"}], **more}


def events(body: bytes) -> list[Any]:
    lines = [line[6:] for line in body.decode().splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


@pytest.mark.parametrize("name", ["provider", "load"])
def test_the_programs_compile_without_a_warning(name: str, tmp_path: Path) -> None:
    has_compiler()
    flags = ("-O2", "-Wall", "-Wextra", "-Werror")
    command = [compiler() or "", *flags, "-o", str(tmp_path / name), str(HERE / f"{name}.c")]
    subprocess.run(command, check=True)


# -- the provider ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1024, 100 * 1024])
def test_a_single_answer_has_the_size_that_was_asked_for(provider: Subject, size: int) -> None:
    for path in ("/v1/chat/completions", "/v1/messages"):
        status, body = asked(provider.port, path, say(f"steer(0 0 {size})"))
        assert (status, len(body)) == (200, size)
        told = json.loads(body)
        assert told["usage"]
        assert told["model"] == "model-a"


@pytest.mark.parametrize("pause", [0, 1])
def test_a_stream_has_its_chunks_each_with_its_time(provider: Subject, pause: int) -> None:
    steer, more = f"steer(7 {pause} 0)", {"stream_options": {"include_usage": True}}
    _, body = asked(provider.port, "/v1/chat/completions", say(steer, stream=True, **more))
    told = events(body)
    assert told[-1] == "[DONE]"
    assert told[-2]["usage"]["completion_tokens"] == 100
    stamps = [int(found[1]) for found in STAMP.finditer(body)]
    assert stamps == sorted(stamps)
    assert len(stamps) == 7
    texts = [each["choices"][0]["delta"].get("content") for each in told[:-2]]
    assert sum(bool(text) for text in texts) == 7


def test_a_messages_stream_is_one(provider: Subject) -> None:
    _, body = asked(provider.port, "/v1/messages", say("steer(3 0 0)", stream=True))
    kinds = [each["type"] for each in events(body)]
    assert kinds == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * 3,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_paths_keys_and_control_refuse(provider: Subject) -> None:
    port, path = provider.port, "/v1/chat/completions"
    assert asked(port, f"/s429{path}", say(""))[0] == 429
    assert asked(port, f"/s503{path}", say(""))[0] == 503
    assert asked(port, path, say(""), authorization="Bearer limited-key")[0] == 429
    assert asked(port, f"/one{path}", say(""))[0] == 200
    assert json.loads(asked(port, "/control/one/500", {})[1]) == {"failed": 3}
    assert asked(port, f"/one{path}", say(""))[0] == 500
    assert asked(port, f"/two{path}", say(""))[0] == 200
    assert json.loads(asked(port, "/control/one/200", {})[1]) == {"failed": 4}
    assert asked(port, f"/one{path}", say(""))[0] == 200


# -- the load -------------------------------------------------------------------------------------


@contextmanager
def server(answer: Callable[[int], list[bytes]]) -> Iterator[int]:
    """Answers each request with some bytes, after which it hangs up if the last are empty."""
    counted = iter(range(10**9))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await reader.readuntil(b"\r\n\r\n")) and b"POST" in head:
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
                for part in answer(next(counted)):
                    if not part:
                        return
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.002)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    loop = asyncio.new_event_loop()
    made = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield made.sockets[0].getsockname()[1]
    finally:
        made.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def once(driver: Driver, port: int, steer: Steer, count: int = 3) -> Took:
    return driver.once(port, request(steer), steer, streams=count, spread_seconds=0.01)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


STAMPED = b"data: x @00000000000000001\n\n"
END = b"0\r\n\r\n"
WHOLE = CHUNKED + chunk(STAMPED) * 2 + END


@pytest.mark.parametrize(
    "parts",
    [
        [WHOLE],
        [WHOLE[: len(CHUNKED) + 20], WHOLE[len(CHUNKED) + 20 :]],
        [WHOLE[:30], WHOLE[30:100], WHOLE[100:]],
        [CHUNKED + chunk(STAMPED * 2), END],
    ],
)
def test_a_stream_is_whole_however_it_is_cut(driver: Driver, parts: list[bytes]) -> None:
    with server(lambda _: parts) as port:
        took = once(driver, port, Steer(chunks=2))
    assert (took.requests, took.failed, took.incomplete, took.chunks) == (3, 0, 0, 6), took.why
    assert len(took.transit) == 6
    assert len(took.to_first) == 3


@pytest.mark.parametrize(
    ("parts", "steer"),
    [
        ([CHUNKED + chunk(STAMPED) + END], Steer(chunks=2)),
        ([CHUNKED + chunk(STAMPED) * 3 + END], Steer(chunks=2)),
        ([CHUNKED + chunk(STAMPED) * 2, b""], Steer(chunks=2)),
        ([HEAD % 600 + b"x" * 100, b""], Steer()),
        ([HEAD % 100 + b"x" * 100], Steer()),
        ([b"HTTP/1.1 503 No\r\ncontent-length: 600\r\n\r\n" + b"x" * 600], Steer()),
        ([b""], Steer()),
    ],
)
def test_what_is_not_whole_does_not_count(driver: Driver, parts: list[bytes], steer: Steer) -> None:
    with server(lambda _: parts) as port:
        took = once(driver, port, steer)
    assert (took.requests, took.failed) == (0, 3)
    assert took.why


def test_a_closed_loop_goes_on_with_whoever_is_whole(driver: Driver) -> None:
    good = [HEAD % 600 + b"x" * 600]
    with server(lambda _: good) as port:
        steer = Steer()
        took = driver.closed(port, request(steer), steer, connections=2, seconds=0.2)
    assert took.requests == took.sent >= 4
    assert min(took.to_last) >= min(took.to_first) > 0


def test_a_fixed_rate_counts_from_when_a_request_was_due(driver: Driver) -> None:
    good = [HEAD % 600 + b"x" * 600]
    with server(lambda _: good) as port:
        steer = Steer()
        took = driver.rate(port, request(steer), steer, per_second=50, seconds=0.4)
    assert (took.sent, took.requests) == (20, 20)
    assert took.seconds >= 19 / 50


def test_nobody_there_is_a_failure_and_no_endless_wait(driver: Driver) -> None:
    if isinstance(driver, PythonDriver):
        with pytest.raises(ConnectionError):
            once(driver, 1, Steer())
    else:
        took = once(driver, 1, Steer())
        assert (took.requests, took.failed) == (0, 3)
        assert "cannot connect" in took.why


def test_somebody_looks_while_the_load_runs(driver: Driver) -> None:
    looks: list[int] = []
    slow = [CHUNKED + chunk(STAMPED), *[chunk(b"more")] * 100, END]
    with server(lambda _: slow) as port:
        steer = Steer(chunks=1)
        driver.once(
            port,
            request(steer),
            steer,
            streams=1,
            spread_seconds=0,
            meanwhile=lambda: looks.append(1),
        )
    assert looks


def test_both_meet_in_one_run(driver: Driver, provider: Subject) -> None:
    for steer in (Steer(), Steer(size=50_000), Steer(chunks=20), Steer(chunks=3, pause_ms=5)):
        for shape in ("chat", "messages"):
            asked_ = provider.ask(steer, shape=shape)
            took = driver.once(provider.port, asked_, steer, streams=4, spread_seconds=0.01)
            assert (took.requests, took.chunks) == (4, 4 * steer.chunks), took.why
            assert all(0 <= each < 60 for each in took.transit)
