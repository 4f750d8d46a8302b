"""What an error answer says, whatever its shape: codes, sentence, inner status.

Fixed places only: a code or a time inside an echoed prompt is never taken for the provider's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.routing import rows

CODES_MAX = 24
CODE_CHARS_MAX = 200
ORIGINAL = ("originalStatusCode", "OriginalStatusCode")
OBJECTS_MAX = 32
"""Entries of an error's list of details that are read; providers send up to five."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    codes: tuple[str, ...] = ()
    """Marks of our own first, then the provider's codes, most specific first, as written."""
    message: str = ""
    """The provider's sentence, as written."""
    status: int | None = None
    """A code inside the body that is an HTTP status."""
    original_status: int | None = None
    """The status of whoever stands behind the provider, where it hands that on (Bedrock)."""
    body: object = None
    """Parsed JSON; None where it is none."""

    @property
    def own_code(self) -> str:
        """The provider's most specific code; empty if it wrote none."""
        return next((code for code in self.codes if not code.startswith("~")), "")


def read(body: object, headers: Mapping[str, str]) -> Told:
    """The facts of a parsed body: `{"error": …}`, flat, in a list, or wrapped in an event."""
    objects = error_objects(body)
    if not objects:
        sentence = body if isinstance(body, str) else ""
        return Told(body=body, codes=_header_codes(headers), message=sentence)
    root = objects[0]
    error = _error_of(root)
    codes = [*_marks(body, objects)]
    for part in objects:
        codes += _texts(part, "error_code", "limit_source")
        if part is not error and part is not root:
            codes += _texts(part, "reason", "error_type")
    for inner in (error.get("innererror"), error.get("inner_error")):
        codes += _texts(inner, "code") if isinstance(inner, Mapping) else ()
    if "error_description" in root:  # An OAuth server's, whose `error` is a code.
        codes += _texts(root, "error")
    for outer in (error, root):
        codes += _texts(outer, "error_type", "code", "reason", "type", "__type", "status")
    return Told(
        codes=tuple(dict.fromkeys((*_window(headers), *codes, *_header_code(headers))))[:CODES_MAX],
        message=_sentence(error) or _sentence(root),
        status=_status_of(error) or _status_of(root),
        original_status=_status_of(error, ORIGINAL) or _status_of(root, ORIGINAL),
        body=body,
    )


def read_plain(text: str, headers: Mapping[str, str], *, whole: bool) -> Told:
    """A body that is not JSON. Cut or HTML it is not shown: half a secret could not be found."""
    html = text.lstrip()[:1] == "<" or "text/html" in headers.get("content-type", "").lower()
    mark = rows.EMPTY if not text.strip() else rows.HTML if html else ""
    return Told(
        codes=(*((mark,) if mark else ()), *_header_codes(headers)),
        message=text.strip() if whole and not html else "",
    )


def error_objects(body: object) -> tuple[Mapping[str, object], ...]:
    """The few objects of an error body in which providers put facts, outermost first.

    Fixed places only, so that a time or a code inside an echoed prompt is never taken for one.
    """
    return tuple(_walk(body))


def per_day_violation(body: object) -> bool:
    """Whether a Google `QuotaFailure` names a daily quota."""
    return any("perday" in name or "daily" in name for name in quota_ids(body))


def quota_ids(body: object) -> tuple[str, ...]:
    """Lower-case ids of the quotas a Google `QuotaFailure` names."""
    violations = (
        v
        for o in error_objects(body)
        if isinstance(listed := o.get("violations"), list)
        for v in listed[:OBJECTS_MAX]
    )
    return tuple(str(v.get("quotaId", "")).lower() for v in violations if isinstance(v, Mapping))


def _walk(body: object) -> Iterator[Mapping[str, object]]:
    for root in body[:4] if isinstance(body, list) else (body,):
        if not isinstance(root, Mapping):
            continue
        response = root.get("response")
        inner = response.get("error") if isinstance(response, Mapping) else None
        for error in (root, root.get("error"), inner):
            if isinstance(error, Mapping):
                yield error
                yield from _parts(error)


def _parts(error: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    metadata, details = error.get("metadata"), error.get("details")
    if isinstance(metadata, Mapping):
        yield metadata
    for detail in details[:OBJECTS_MAX] if isinstance(details, list) else (details,):
        if isinstance(detail, Mapping):
            yield detail
            if isinstance(more := detail.get("metadata"), Mapping):
                yield more


def _error_of(root: Mapping[str, object]) -> Mapping[str, object]:
    """The object that holds code and sentence; `root` itself where there is no other."""
    response = root.get("response")
    for error in (
        root.get("error"),
        response.get("error") if isinstance(response, Mapping) else None,
    ):
        if isinstance(error, Mapping):
            return error
    return root


def _marks(body: object, objects: tuple[Mapping[str, object], ...]) -> Iterator[str]:
    quotas = quota_ids(body)
    if any("perday" in quota or "daily" in quota for quota in quotas):
        yield rows.PER_DAY
    if any("perminute" in quota for quota in quotas):
        yield rows.PER_MINUTE
    for o in objects:
        if "flagged_input" in o or "reasons" in o:
            yield rows.MODERATED
        elif isinstance(o.get("provider_name"), str):
            yield rows.BEHIND


def _texts(o: Mapping[str, object], *names: str) -> Iterator[str]:
    """The codes under these names. Numbers that are HTTP statuses are no codes; GLM's 1302 is."""
    for name in names:
        value = o.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
            value = str(value)
        if isinstance(value, str):
            code = value.strip()[:CODE_CHARS_MAX]
            if code and not _is_status(code) and code != "error" and not code.startswith("~"):
                yield code


def _header_codes(headers: Mapping[str, str]) -> tuple[str, ...]:
    return (*_window(headers), *_header_code(headers))


def _window(headers: Mapping[str, str]) -> tuple[str, ...]:
    """A subscription's limit of hours or days, which is no limit of requests a minute."""
    status = headers.get("anthropic-ratelimit-unified-status", "").strip().lower()
    return (rows.WINDOW_USED,) if status == "rejected" else ()


def _header_code(headers: Mapping[str, str]) -> tuple[str, ...]:
    code = headers.get("x-amzn-errortype", "").partition(":")[0].strip()[:CODE_CHARS_MAX]
    return (code,) if code and not code.startswith("~") else ()


def _is_status(code: str) -> bool:
    return len(code) == 3 and code.isascii() and code.isdigit() and "100" <= code <= "599"


def _status_of(
    o: Mapping[str, object], names: tuple[str, ...] = ("code", "status", "status_code")
) -> int | None:
    for name in names:
        value = o.get(name)
        if isinstance(value, int | str) and len(text := str(value)[:4]) == 3 and _is_status(text):
            return int(text)
    return None


def _sentence(o: Mapping[str, object]) -> str:
    for name in ("message", "error_description", "error", "detail", "msg", "title"):
        value = o.get(name)
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            value = value[0].get("msg")
        if isinstance(value, str) and value.strip():
            return value
    return ""
