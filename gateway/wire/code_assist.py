"""The envelope of Gemini Code Assist: around a Gemini request, and around each of its answers.

Written from the documented request and response; what is inside is Gemini's own, and stays as it is.
Nothing here says that the gateway is somebody else's client: it names no editor and no plug-in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.wire.sse import SseFrames

GENERATE = "generateContent"
STREAM = "streamGenerateContent"
COUNT = "countTokens"
LOAD = "loadCodeAssist"
METHODS = frozenset({GENERATE, STREAM, COUNT})
"""What can be asked; embeddings are not offered."""

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY = msgspec.json.Decoder(dict[str, Any])
_NOT_INSIDE = ("model",)
"""It stands in the envelope; Gemini has it in the path."""


def method_of(path: str) -> str:
    """Of a Gemini path such as `/v1beta/models/m:generateContent`; empty if it cannot be asked."""
    method = path.rpartition(":")[2]
    return method if method in METHODS else ""


def wrapped(
    body: bytes, method: str, *, model: str, project: str, prompt_id: str, session: str
) -> bytes:
    """A Gemini request in its envelope. Raises `ValueError` where `body` is no JSON object."""
    fields = _FIELDS.decode(body)
    if method == COUNT:
        return msgspec.json.encode({"request": _counted(fields, model)})
    inner: dict[str, Any] = {
        name: value for name, value in fields.items() if name not in _NOT_INSIDE
    }
    if session:
        inner.setdefault("session_id", session)
    envelope: dict[str, Any] = {"model": model, "project": project, "user_prompt_id": prompt_id}
    return msgspec.json.encode({**envelope, "request": inner})


def _counted(fields: Mapping[str, msgspec.Raw], model: str) -> dict[str, Any]:
    """Counting takes contents and nothing else, also where Gemini's whole request was given."""
    whole = fields.get("generateContentRequest")
    inner = _FIELDS.decode(whole) if whole is not None else fields
    contents = inner.get("contents", msgspec.Raw(b"[]"))
    return {"model": f"models/{model}", "contents": contents}


def unwrapped(body: bytes) -> bytes:
    """What a provider's answer says to a client; what is no envelope (an error) as it came."""
    try:
        fields = _FIELDS.decode(body)
        inner = _FIELDS.decode(fields["response"])
    except (ValueError, RecursionError, KeyError):
        return body
    trace = fields.get("traceId")
    if trace is None or "responseId" in inner:
        return bytes(fields["response"])
    return msgspec.json.encode({**inner, "responseId": trace})


@dataclass(slots=True)
class UnwrappedStream:
    """One stream's events, each taken out of its envelope; comments and field lines are not kept."""

    _frames: SseFrames = field(default_factory=SseFrames)

    def feed(self, chunk: bytes) -> bytes:
        return b"".join(map(self._event, self._frames.feed(chunk)))

    def end(self) -> bytes:
        """The last event, where its blank line was missing."""
        return b"".join(map(self._event, self._frames.close()))

    @staticmethod
    def _event(frame: tuple[bytes, bytes | None]) -> bytes:
        name, data = frame
        if data is None:
            # Too large to be looked into. No event of a client's dialect could be made of it.
            return b'data: {"error": {"code": 502, "message": "an event is too large"}}\n\n'
        event = b"event: " + name + b"\n" if name else b""
        # Data over several lines is one value; written again it needs one line only.
        lines = unwrapped(data).split(b"\n")
        return event + b"data: " + b"\ndata: ".join(lines) + b"\n\n"


def load_request() -> bytes:
    """The question for the project; about who asks it says that this is unspecified."""
    unspecified = {
        "ideType": "IDE_UNSPECIFIED",
        "platform": "PLATFORM_UNSPECIFIED",
        "pluginType": "PLUGIN_UNSPECIFIED",
    }
    return msgspec.json.encode({"metadata": unspecified})


def project_of(body: bytes) -> tuple[str, str]:
    """The project in the answer to `load_request`, or else the reason why there is none."""
    try:
        found = _ANY.decode(body)
    except (ValueError, RecursionError):
        return "", "project_unknown"
    project = found.get("cloudaicompanionProject")
    if isinstance(project, dict):
        project = project.get("id")
    if isinstance(project, str) and project:
        return project, ""
    tiers = found.get("ineligibleTiers")
    if not found.get("currentTier") and isinstance(tiers, list) and tiers:
        return "", "account_ineligible"
    return "", "project_unknown"
