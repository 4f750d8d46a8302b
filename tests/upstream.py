"""A provider for tests: a real aiohttp server on a loopback port, told what to answer.

    async with ScriptedUpstream() as upstream:
        upstream.plan(Answer(status=429, headers={"retry-after": "2"}), key="key-1")
        upstream.default = Answer(text=("Hel", "lo"), cut_after=1)
        ... a provider with base_url=upstream.openai_url or upstream.url (Anthropic) ...
        assert upstream.hits_by_key() == {"key-1": 1, "key-2": 1}

An `Answer` that names no body plays the dialect of the request's path, good and whole.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self, TypeAlias

from aiohttp import web

from gateway.upstream import simulated_answers as answers
from gateway.upstream import simulated_gemini as of_gemini
from gateway.upstream import simulated_speech as speech
from gateway.upstream.simulated_answers import Frames, Said, ToolCall

WAIT_SECONDS = 5.0
"""Bound of the waits offered to tests: a test that needs longer has failed."""
BODY_BYTES_MAX = 64 * 1024 * 1024
CREATED = 1_795_435_200

Pause: TypeAlias = "float | asyncio.Event"
"""Seconds, or an event that the test sets when it is time."""

OVERLOADED: Mapping[str, Any] = {"type": "overloaded_error", "message": "Overloaded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One planned answer. Counts such as `cut_after` count *content* chunks: 0 is before any."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    # What it says; the first of these that is given, else the dialect's own good answer.
    json: Any = None
    body: bytes | None = None
    chunks: Sequence[bytes] | None = None
    """Sent one by one as they are, all of them content."""
    # The dialect's own good answer.
    text: Sequence[str] = ("Hello", " from", " upstream.")
    tool: tuple[str, str] | None = None
    """Name and arguments (JSON text) of a tool call."""
    model: str = ""
    """Named in the answer; empty = as asked."""
    input_tokens: int = 11
    output_tokens: int = 7
    content_type: str = ""
    # When.
    before_headers: Pause = 0.0
    before_content: Pause = 0.0
    """After the headers and what comes before content, such as a role chunk."""
    ping_seconds: float = 0.0
    """While it waits with the content it sends the dialect's ping so often."""
    between_chunks: Pause = 0.0
    # How it ends, if not well. Of a single answer each "chunk" is a third of its bytes.
    cut_after: int | None = None
    """Then the connection is closed within the body."""
    end_after: int | None = None
    """Then the body ends properly, without a terminal marker."""
    error_after: int | None = None
    """Then the dialect's error event, and a proper end. Streams only."""
    error: Mapping[str, Any] = field(default_factory=lambda: OVERLOADED)
    hang_after: int | None = None
    """Then silence until the client goes away."""
    hang: bool = False
    """No headers until the client goes away."""
    reset: bool = False
    """The connection is reset before any answer."""


def html(status: int = 200) -> Answer:
    page = b"<!doctype html><html><body>Sign in</body></html>"
    return Answer(status=status, body=page, content_type="text/html")


def empty(status: int = 200) -> Answer:
    return Answer(status=status, body=b"")


def openai_error(status: int, code: str, message: str = "No.", **more: Any) -> Answer:
    """`more` are further fields of `Answer`, such as `headers`."""
    error = {"message": message, "type": code, "param": None, "code": code}
    return Answer(status=status, json={"error": error}, **more)


def gemini_error(status: int, kind: str, message: str = "No.", **more: Any) -> Answer:
    return Answer(
        status=status,
        json={"error": {"code": status, "message": message, "status": kind}},
        **more,
    )


def anthropic_error(status: int, kind: str, message: str = "No.", **more: Any) -> Answer:
    error = {"type": kind, "message": message}
    return Answer(status=status, json={"type": "error", "error": error}, **more)


@dataclass(slots=True, kw_only=True)
class Hit:
    """One request as it arrived."""

    method: str
    path: str
    """Raw, as on the wire, without the query."""
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    key: str
    """Of `Authorization: Bearer`, `x-api-key` or `x-goog-api-key`; empty if none was there."""
    at: float
    """When it came, in seconds of the loop's clock."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def disconnected(self) -> bool:
        """The client went away before the answer's end."""
        return self.gone.is_set()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The first value; None if there is none."""
        lower = name.lower()
        return next((value for key, value in self.headers if key.lower() == lower), None)

    async def until_disconnected(self) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            await self.gone.wait()


class ScriptedUpstream:
    """Answers each request with the next planned answer for its key, for anyone, or `default`."""

    def __init__(self, *, models: Sequence[str] = ("model-a", "model-b"), port: int = 0) -> None:
        """`port`: where it serves; 0 = on any free one."""
        self.default = Answer()
        self.default_by_key: dict[str, Answer] = {}
        self.decide: Callable[[Hit], Answer | None] = lambda hit: None
        """Looks at each request first; None = as planned."""
        self.models = tuple(models)
        self.hits: list[Hit] = []
        self.url = ""
        self.in_flight = 0
        self.in_flight_max = 0
        """The most requests it ever had at once."""
        self._port = port
        self._plans: dict[str | None, deque[Answer]] = {}
        self._closing = asyncio.Event()
        self._arrived = asyncio.Condition()
        self._peers: set[object] = set()
        self._runner: web.AppRunner | None = None

    @property
    def openai_url(self) -> str:
        """The base URL in the OpenAI manner; Anthropic's is `url`."""
        return f"{self.url}/v1"

    @property
    def gemini_url(self) -> str:
        return f"{self.url}/v1beta"

    @property
    def connections(self) -> int:
        """How many TCP connections carried requests."""
        return len(self._peers)

    def plan(self, *planned: Answer, key: str | None = None) -> None:
        """Queue answers: for one credential's key, or for whoever comes next."""
        self._plans.setdefault(key, deque()).extend(planned)

    def hits_by_key(self) -> dict[str, int]:
        return dict(Counter(hit.key for hit in self.hits))

    async def until_hits(self, count: int) -> None:
        async with asyncio.timeout(WAIT_SECONDS), self._arrived:
            await self._arrived.wait_for(lambda: len(self.hits) >= count)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=0.05, access_log=None
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        self._closing.set()
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        hit = await self._record(request)
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        try:
            return await self._play(request, hit, self.decide(hit) or self._next(hit.key))
        except (asyncio.CancelledError, ConnectionResetError):
            if not self._closing.is_set():
                hit.gone.set()
            raise
        finally:
            self.in_flight -= 1

    async def _record(self, request: web.Request) -> Hit:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        path, _, query = request.raw_path.partition("?")
        hit = Hit(
            method=request.method,
            path=path,
            query=query,
            headers=list(request.headers.items()),
            body=await request.read(),
            key=bearer
            or request.headers.get("x-api-key", "")
            or request.headers.get("x-goog-api-key", ""),
            at=asyncio.get_running_loop().time(),
        )
        assert request.transport is not None
        self._peers.add(request.transport.get_extra_info("peername"))
        async with self._arrived:
            self.hits.append(hit)
            self._arrived.notify_all()
        return hit

    def _next(self, key: str) -> Answer:
        for queue in (self._plans.get(key), self._plans.get(None)):
            if queue:
                return queue.popleft()
        return self.default_by_key.get(key, self.default)

    async def _play(self, request: web.Request, hit: Hit, answer: Answer) -> web.StreamResponse:
        await self._pause(answer.before_headers)
        if answer.hang:
            await self._closing.wait()
        if answer.reset:
            _reset(request)
            return web.Response()
        script = _script(hit, answer, self.models)
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        if "content-type" not in {name.lower() for name in answer.headers}:
            response.content_type = answer.content_type or script.content_type
        if not script.stream and answer.cut_after is None:
            response.content_length = script.length
        await response.prepare(request)
        if await self._send(request, response, answer, script):
            await response.write_eof()
        return response

    async def _send(
        self, request: web.Request, response: web.StreamResponse, answer: Answer, script: _Script
    ) -> bool:
        """Whether the body ends properly."""
        await _write(response, script.frames.head)
        await self._before_content(response, answer, script.dialect)
        content: tuple[bytes | None, ...] = (*script.frames.content, None)
        for n, frame in enumerate(content):
            if n == answer.cut_after:
                assert request.transport is not None
                request.transport.close()
                return False
            if n == answer.hang_after:
                await self._closing.wait()
            if n == answer.error_after:
                await response.write(speech.error_event(script.dialect, answer.error))
                return True
            if n == answer.end_after:
                return True
            if frame is not None:
                await self._pause(answer.between_chunks if n else 0.0)
                await response.write(frame)
        await _write(response, script.frames.tail)
        return True

    async def _before_content(
        self, response: web.StreamResponse, answer: Answer, dialect: str
    ) -> None:
        if not answer.ping_seconds:
            await self._pause(answer.before_content)
            return
        async with asyncio.TaskGroup() as group:
            pings = group.create_task(_ping(response, answer.ping_seconds, dialect))
            await self._pause(answer.before_content)
            pings.cancel()

    async def _pause(self, pause: Pause) -> None:
        if isinstance(pause, asyncio.Event):
            await pause.wait()
        elif pause:
            await asyncio.sleep(pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Script:
    """The body to send."""

    dialect: str
    stream: bool
    frames: Frames

    @property
    def content_type(self) -> str:
        return "text/event-stream" if self.stream else "application/json"

    @property
    def length(self) -> int:
        return sum(len(frame) for frame in self.frames.all())


def _script(hit: Hit, answer: Answer, models: Sequence[str]) -> _Script:
    dialect = _dialect(hit)
    asked = _asked(hit)
    if answer.json is not None or answer.body is not None or answer.chunks is not None:
        return _Script(
            dialect=dialect,
            stream=answer.chunks is not None and asked.get("stream") is True,
            frames=Frames((), _given(answer), ()),
        )
    made = _made(hit, dialect, asked, answer, models)
    stream = isinstance(made, Frames)
    frames = made if isinstance(made, Frames) else Frames((), _thirds(made), ())
    return _Script(dialect=dialect, stream=stream, frames=frames)


def _dialect(hit: Hit) -> str:
    if hit.path.endswith("/responses"):
        return "responses"
    if hit.path.startswith("/v1beta/") or hit.header("x-goog-api-client"):
        return "gemini"
    anthropic = "/messages" in hit.path or hit.header("anthropic-version")
    return "anthropic" if anthropic else "openai"


def _given(answer: Answer) -> tuple[bytes, ...]:
    if answer.json is not None:
        return _thirds(json.dumps(answer.json).encode())
    return _thirds(answer.body) if answer.body is not None else tuple(answer.chunks or ())


def _made(
    hit: Hit, dialect: str, asked: Mapping[str, Any], answer: Answer, models: Sequence[str]
) -> bytes | Frames:
    """The dialect's own good answer to this request."""
    model = answer.model or str(asked.get("model", ""))
    method = ""
    if dialect == "gemini":
        named, _, method = hit.path.rpartition("/models/")[2].rpartition(":")
        model = answer.model or named
        if method not in ("generateContent", "streamGenerateContent"):
            return _of_gemini(method, asked, answer, models)
    if hit.path.endswith("/models"):
        if dialect == "anthropic":
            return answers.anthropic_models_body(models)
        return answers.openai_models_body(models, created=CREATED)
    if hit.path.endswith("/count_tokens"):
        return answers.count_tokens_body(answer.input_tokens)
    if hit.path.endswith("/embeddings"):
        given = asked.get("input")
        count = len(given) if isinstance(given, list) else 1
        tokens = answer.input_tokens
        return answers.embeddings_body(Random(1), model=model, inputs=count, input_tokens=tokens)
    said = _said(asked, answer, model)
    stream = asked.get("stream") is True or method == "streamGenerateContent"
    return speech.frames(dialect, said) if stream else speech.body(dialect, said)


def _of_gemini(
    method: str, asked: Mapping[str, Any], answer: Answer, models: Sequence[str]
) -> bytes:
    if method == "countTokens":
        return of_gemini.gemini_count_body(answer.input_tokens)
    if not method:
        return of_gemini.gemini_models_body(models)
    inputs = len(asked.get("requests", ())) if method == "batchEmbedContents" else None
    return of_gemini.gemini_embedding_body(Random(1), inputs=inputs)


def _said(asked: Mapping[str, Any], answer: Answer, model: str) -> Said:
    tool = None
    if answer.tool is not None:
        name, arguments = answer.tool
        tool = ToolCall(call_id="scripted1", name=name, arguments=arguments)
    options = asked.get("stream_options")
    return Said(
        answer_id="scripted",
        model=model,
        created=CREATED,
        pieces=tuple(answer.text),
        tool=tool,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _asked(hit: Hit) -> Mapping[str, Any]:
    try:
        asked = json.loads(hit.body)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _thirds(body: bytes) -> tuple[bytes, ...]:
    size = max(1, -(-len(body) // 3))
    return tuple(body[i : i + size] for i in range(0, len(body), size))


async def _write(response: web.StreamResponse, frames: Sequence[bytes]) -> None:
    for frame in frames:
        await response.write(frame)


async def _ping(response: web.StreamResponse, seconds: float, dialect: str) -> None:
    while True:
        await asyncio.sleep(seconds)
        await response.write(speech.ping(dialect))


def _reset(request: web.Request) -> None:
    """Close with a TCP reset instead of a FIN."""
    assert request.transport is not None
    sock: socket.socket = request.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
