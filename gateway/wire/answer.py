"""What judging an answer has in common in all dialects: framing, JSON, the shapes of errors.

A dialect adds one function that reads a frame, and one that reads a whole body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias

import msgspec

from gateway.events import Usage
from gateway.wire.base import Fault
from gateway.wire.skimming import Skim
from gateway.wire.sse import SseFrames

HEAD_BYTES_MAX = 64 * 1024
"""Kept of an answer that should be a stream and shows no event; an error body is far smaller."""
SKIMMED_MAX = 1024 * 1024
"""Of a read: far more than a socket gives at once."""
SKIMMED_HELD_MAX = 64 * 1024
"""Of a frame that is not complete: no piece of text is as large."""
LOOKED_MAX = 8
"""Frames of a read that are cut out one by one; if there are more, cutting all at once is cheaper."""
TOKENS_MAX = 10**12
"""No request counts so many; larger numbers are nonsense and would overflow a column."""
MODEL_CHARS_MAX = 200
TIER_CHARS_MAX = 40

Tokens: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)] | None
"""A count as it is usually stated, for decoders; `tokens` takes what comes."""

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FULL_ARRAY = re.compile(rb"\[\s*+[^\s\]]")


class StreamJudge:
    """Implements `Judge` for streams; `read` is the dialect's and sees each frame once."""

    __slots__ = (
        "_frames",
        "_head",
        "_plain",
        "_read",
        "_skim",
        "content",
        "counts",
        "done",
        "fault",
        "finished",
        "kept_id",
        "pieces",
        "served_model",
        "usage",
    )

    def __init__(
        self, read: Callable[[StreamJudge, bytes, bytes], None], skim: Skim | None = None
    ) -> None:
        self.content = False
        self.done = False
        self.fault: Fault | None = None
        self.usage: Usage | None = None
        self.served_model = ""
        self.kept_id = ""
        self.pieces = 0
        self.finished = False
        """The dialect saw enough to call the answer whole, should its terminal marker not come."""
        self.counts: dict[str, int] = {}
        """Token counts under the provider's names, for dialects that spread them over events."""
        self._read = read
        self._skim = skim
        self._plain: tuple[bytes, bytes] | None = None
        self._frames = SseFrames()
        self._head: bytearray | None = bytearray()
        """What came so far; None from the first frame on."""

    def feed(self, chunk: bytes) -> None:
        if self.done or self.fault is not None:
            return
        frames, skim = self._frames, self._skim
        held = frames.held
        if (
            skim is None
            or frames.after_cr
            or frames.skipping
            or len(chunk) > SKIMMED_MAX
            or b"\r" in chunk
            or (held and not self._goes_on(held, chunk))
        ):
            self._look(chunk)
            return
        if held:
            chunk = bytes(held) + chunk
            held.clear()
        self._skimmed(chunk, skim)

    def end(self) -> None:
        for event, data in self._frames.close():
            self._head = None
            self._frame(event, data)
        if self.done or self.fault is not None:
            return
        if self._head is not None:
            self.fault = _unframed(bytes(self._head))
        elif not self.content:
            self.fault = Fault(reason="no_content")
        elif self.finished:
            self.done = True
        else:
            self.fault = Fault(reason="no_terminal")

    def plain(self, event: bytes, data: bytes) -> None:
        """A frame brought a piece of content and nothing else."""
        self.pieces += 1
        self._plain = (event, data)

    def resembling(self, event: bytes, data: bytes) -> None:
        """Frames that differ from this one in their text only are plain ones."""
        self._plain = (event, data)

    def passed(self, frames: bytes) -> None:
        """These were not looked into."""

    def _goes_on(self, held: bytearray, chunk: bytes) -> bool:
        """Whether the frame that is held may end in `chunk`, and be worth joining with it."""
        return self._head is None and b"\n" in chunk and len(held) <= SKIMMED_HELD_MAX

    def _skimmed(self, read: bytes, skim: Skim) -> None:
        """What begins with a frame: passes over plain ones, and looks into the others."""
        place, size, looked = 0, len(read), 0
        while place < size:
            if self.content:
                count, end = skim.frames(read, place)
                if count:
                    self.pieces += count
                    self.passed(read[place:end])
                    place = end
                    continue
            end = read.find(b"\n\n", place) + 2
            if end < 2 or looked == LOOKED_MAX:
                end = size
            looked += 1
            self._look(read[place:end])
            if self.done or self.fault is not None:
                return
            place = end
            if self._plain is not None:
                skim.learn(*self._plain)
                self._plain = None

    def _look(self, chunk: bytes) -> None:
        frames = self._frames.feed(chunk)
        if self._head is not None:
            self._keep_head(chunk, framed=bool(frames))
        for event, data in frames:
            self._frame(event, data)

    def terminal(self) -> None:
        """The dialect's terminal marker is here."""
        if self.content:
            self.done = True
        else:
            self.fault = Fault(reason="no_content")

    def _frame(self, event: bytes, data: bytes | None) -> None:
        if self.done or self.fault is not None:
            return
        if data is None:
            self.content = True  # Too large to look into, and surely more than a role.
        else:
            self._read(self, event, data)

    def _keep_head(self, chunk: bytes, *, framed: bool) -> None:
        assert self._head is not None
        if framed:
            self._head = None
        else:
            self._head += chunk[: HEAD_BYTES_MAX - len(self._head)]


class SingleJudge:
    """Implements `Judge` for one JSON body: keeps the chunks (the relay holds them as well) and
    decides in `end`. `read` gets the body's members undecoded; it sets `content` or `fault`."""

    __slots__ = (
        "_chunks",
        "_glance",
        "_read",
        "content",
        "done",
        "fault",
        "kept_id",
        "pieces",
        "served_model",
        "usage",
    )

    def __init__(
        self,
        read: Callable[[SingleJudge, Mapping[str, msgspec.Raw]], None],
        glance: Callable[[SingleJudge, bytes], bool] | None = None,
    ) -> None:
        """`glance` may see at once that a body is a good answer, and then sets all there is to."""
        self.content = False
        self.done = False
        self.fault: Fault | None = None
        self.usage: Usage | None = None
        self.served_model = ""
        self.kept_id = ""
        self.pieces = 0
        self._read = read
        self._glance = glance
        self._chunks: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def end(self) -> None:
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        if self.done or self.fault is not None:
            return
        if self._glance is not None and glanced(self, body, self._glance):
            self.content = self.done = True
            return
        fields = fields_of(body)
        if fields is None:
            self.fault = _no_object(body)
            return
        error = error_of(self._shallow(fields))
        if error is not None:
            self.fault = Fault(reason="error_in_body", error=error)
            return
        self.served_model = model_of(member(fields, "model"))
        self._read(self, fields)
        self.done = self.content
        if not self.content and self.fault is None:
            self.fault = _nothing_in(self._shallow(fields, *_FLAT))

    @staticmethod
    def _shallow(fields: Mapping[str, msgspec.Raw], *more: str) -> dict[str, Any]:
        """The members that tell an error, decoded; the answer proper may be megabytes."""
        names = ("error", "object", "type", "message", "code", "param", *more)
        return {name: member(fields, name) for name in names if name in fields}


def glanced(judge: SingleJudge, body: bytes, glance: Callable[[SingleJudge, bytes], bool]) -> bool:
    """Whether `glance` knows enough. It need not be asked where a text in `body` is no UTF-8: msgspec
    does not look into what it skips."""
    try:
        if not body.isascii():
            body.decode()
        return glance(judge, body)
    except (ValueError, RecursionError):  # Of msgspec, too: another form than usual.
        return False


def decoded(data: bytes) -> object:
    r"""The value in `data`; None if it is no JSON.

    Python's parser gets a second try for lone surrogates (`"\ud83d"`: servers that stream token
    by token cut emojis in half), which come out as `?`: nothing further on could encode them.
    """
    try:
        return msgspec.json.decode(data, type=object)
    except (ValueError, RecursionError):
        pass
    try:
        value: object = json.loads(data.decode())
        plain: object = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    return plain


def fields_of(body: bytes) -> dict[str, msgspec.Raw] | None:
    """The top-level members of a JSON object, each undecoded; None if it is none."""
    try:
        return _FIELDS.decode(body)
    except (ValueError, RecursionError):
        value = decoded(body)
    if not isinstance(value, dict):
        return None
    return {key: msgspec.Raw(json.dumps(inner).encode()) for key, inner in value.items()}


def member(fields: Mapping[str, msgspec.Raw], name: str) -> object:
    """One member decoded; None if it is missing."""
    raw = fields.get(name)
    return None if raw is None else decoded(bytes(raw))


def is_full_array(raw: msgspec.Raw | None) -> bool:
    """Whether it is an array with something in it; what that is may be megabytes, and is not decoded."""
    return raw is not None and _FULL_ARRAY.match(bytes(raw)) is not None


def mapping(value: object) -> Mapping[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def tokens(value: object) -> int | None:
    """A count of tokens as a provider states it; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= TOKENS_MAX:
        return value
    return None


def tier_of(value: object) -> str:
    """The service tier as an answer states it; empty for anything else."""
    return value[:TIER_CHARS_MAX] if isinstance(value, str) else ""


def model_of(value: object) -> str:
    """A model's name as an answer states it; empty for anything else."""
    return value[:MODEL_CHARS_MAX] if isinstance(value, str) and value.isprintable() else ""


def error_of(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The error object in an answer or a frame; None if it holds none.

    Besides `{"error": {…}}`: Ollama's `{"error": "text"}`, xAI's `{"code", "error": "text"}`,
    and the flat `{"object": "error", "message", "code"}` of Mistral and older vLLM.
    """
    error = value.get("error")
    if isinstance(error, dict) and error:
        return error
    if isinstance(error, str) and error:
        rest = {name: value[name] for name in ("code", "type") if name in value}
        return {**rest, "message": error}
    if error or value.get("object") == "error" or value.get("type") == "error":
        return value
    return None


def encoded(value: object) -> bytes:
    """`value` as JSON of one line; never raises for text, whatever it holds."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value).encode()


_FLAT = ("message", "msg", "detail", "title", "base_resp")
"""What gateways and vendors put at the top level of an error they send with status 200."""


def _nothing_in(value: Mapping[str, Any]) -> Fault:
    """An object that is no answer: an error of a flat shape, or just nothing."""
    if any(value.get(name) for name in _FLAT):
        return Fault(reason="error_in_body", error=value)
    return Fault(reason="no_content")


def _no_object(body: bytes) -> Fault:
    text = body.strip()
    if not text:
        return Fault(reason="empty_body")
    if text.startswith(b"<"):
        return Fault(reason="html")
    value = decoded(body)
    if value is None:
        return Fault(reason="not_json")
    # Gemini's OpenAI endpoint wraps its errors in an array.
    first = value[0] if isinstance(value, list) and value else None
    error = error_of(mapping(first))
    if error is not None:
        return Fault(reason="error_in_body", error=error)
    return Fault(reason="no_content")


def _unframed(head: bytes) -> Fault:
    """Why an answer without a single event is no stream."""
    text = head.strip()
    if not text:
        return Fault(reason="closed_at_once")
    if text.startswith((b":", b"data:", b"event:", b"id:", b"retry:", b"\xef\xbb\xbf")):
        return Fault(reason="no_content")
    value = decoded(text)
    if not isinstance(value, dict):
        return _no_object(text)
    error = error_of(value)
    return Fault(reason="error_in_body", error=error) if error is not None else _nothing_in(value)
