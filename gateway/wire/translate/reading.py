"""Foreign JSON looked at without trusting it."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import NoReturn

import msgspec

from gateway.wire.answer import decoded, encoded
from gateway.wire.base import ClientError
from gateway.wire.translate.neutral import Choice, Json, Media, MediaKind, Text, Tool


def request_fields(body: bytes) -> Json:
    value = decoded(body)
    if not isinstance(value, dict):
        raise ClientError(400, "invalid_json", "the request's body is no JSON object")
    return value


def answer_fields(body: bytes) -> Json:
    value = decoded(body)
    if not isinstance(value, dict):
        raise ValueError("the answer is no JSON object")  # noqa: TRY004  # As the interface says.
    return value


def refuse(what: str) -> NoReturn:
    """`what` cannot be said in the target's dialect, and without it something else would be asked."""
    message = f"this model's provider has no place for {what}"
    raise ClientError(400, "untranslatable", message)


def wrong(what: str) -> NoReturn:
    raise ClientError(400, "invalid_request", what)


def insisted(name: str, tools: list[Tool]) -> Choice:
    """The one tool that has to be called. It must be among those that the target gets."""
    if all(tool.name != name for tool in tools):
        refuse(f"the tool {name!r} that the request insists on")
    return Choice("named", name)


def items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def objects(value: object) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(value: object) -> int:
    """A count; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def numbers(fields: Json, names: Iterable[str]) -> dict[str, float]:
    found = ((name, number(fields.get(name))) for name in names)
    return {name: value for name, value in found if value is not None}


def words(value: object) -> list[str]:
    """A list of strings, or one string alone."""
    if isinstance(value, str):
        return [value]
    return [each for each in items(value) if isinstance(each, str)]


def json_text(value: object) -> str:
    return encoded(value).decode()


def json_object(arguments: str) -> Json:
    """What a call was given. A model may write no JSON or no object; then as it is, under `input`."""
    if not arguments.strip():
        return {}
    value = decoded(arguments.encode(errors="replace"))
    return value if isinstance(value, dict) else {"input": arguments if value is None else value}


def quoted(value: str) -> bytes:
    """As a JSON string; a lone surrogate, that no encoding takes, as `?`."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(value.encode(errors="replace").decode())


def plain(parts: Iterable[object]) -> str:
    """The text in `parts`."""
    return "\n".join(each.text for each in parts if isinstance(each, Text))


def from_url(kind: MediaKind, url: str, *, detail: str = "", name: str = "") -> Media:
    """`data:` URLs hold the thing itself."""
    if url.startswith("data:"):
        head, _, data = url[5:].partition(",")
        if head.endswith(";base64"):
            media_type = head.partition(";")[0]
            return Media(kind, media_type, data=data, detail=detail, name=name)
    return Media(kind, url=url, detail=detail, name=name)


def to_url(media: Media) -> str:
    if media.url:
        return media.url
    return f"data:{media.media_type or 'application/octet-stream'};base64,{media.data}"


def made_id(prefix: str, *of: object) -> str:
    """An id for what came without one; the same for the same `of`."""
    told = "\0".join(str(each) for each in of).encode(errors="replace")
    return prefix + blake2b(told, digest_size=12).hexdigest()
