"""Which headers cross the gateway, in both directions, and what is read from them.

Everything unknown passes: vendors add headers faster than gateways learn them. What is dropped is
listed here with its reason. Names are compared without case, values are never changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import unquote_plus

from gateway.wire.base import ClientError
from gateway.wire.body import session_id

Headers: TypeAlias = Sequence[tuple[str, str]]
"""Name and value, in order; repeated names stay repeated."""
Values: TypeAlias = Mapping[str, str]
"""The first value of each header, by its name in lower case."""

ANTHROPIC_VERSION_DEFAULT = "2023-06-01"
"""For clients that send none; the last version under which every parameter is accepted."""
ANTHROPIC_VERSION_BEARER = "2026-10-21"
"""From this version on Anthropic's SDKs send the key as a bearer token."""

GOOGLE_TOKEN = "ya29."
"""How Google's access tokens begin; they are bearer tokens, and no API keys."""

# RFC 9110 section 7.6.1, with `proxy-*` and the older names it lists.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

_NOT_TO_UPSTREAM = _HOP_BY_HOP | {
    # Made anew for the upstream call.
    "host",
    "content-length",
    "accept-encoding",
    "expect",
    # The body was decoded, and the model in it replaced.
    "content-encoding",
    "content-digest",
    "content-md5",
    "digest",
    "repr-digest",
    # The caller's credentials and cookies.
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "ocp-apim-subscription-key",
    "cookie",
    # They name the caller's account; with the gateway's key the provider would refuse.
    "openai-organization",
    "openai-project",
    "x-goog-user-project",
    # Who the caller is and which way it came.
    "forwarded",
    "via",
    "x-real-ip",
    "true-client-ip",
    # The caller's traces are none of the vendor's business.
    "traceparent",
    "tracestate",
    "baggage",
    # Refused by providers behind the same network, as a loop or a forgery.
    "cdn-loop",
}
_NOT_TO_UPSTREAM_PREFIXES = ("x-evenkeel-", "x-forwarded-", "cf-")

_NOT_TO_CLIENT = _HOP_BY_HOP | {
    # The answer names its own trace.
    "traceparent",
    "tracestate",
    # Made anew for the client; the body comes decoded.
    "content-length",
    "content-encoding",
    "date",
    "server",
    # They speak for the vendor's host, and the client talks to ours.
    "set-cookie",
    "alt-svc",
    "clear-site-data",
    "content-security-policy",
    "nel",
    "report-to",
    "reporting-endpoints",
    "strict-transport-security",
    "www-authenticate",
    # The operator's accounts.
    "openai-organization",
    "openai-project",
    "anthropic-organization-id",
    "anthropic-workspace-id",
}
# A vendor's `access-control-allow-origin: *` would open the gateway to every web page.
_NOT_TO_CLIENT_PREFIXES = ("x-evenkeel-", "access-control-")
# Limits of the organisation's account, which many users share: `anthropic-ratelimit-*`,
# `x-ratelimit-*`, `ratelimit-*`. As the user's own they would mislead; clients slow down on them.
_LIMIT_WORDS = ("ratelimit", "rate-limit")

_OWN_SESSION_HEADERS = (
    "x-evenkeel-session",
    "x-session-id",
    "x-claude-code-session-id",
)
"""What the operator or Claude Code names, above all that a body could say."""
_SESSION_HEADERS = (
    "session-id",
    "session_id",
    "thread-id",
    "conversation_id",
    "x-session-affinity",
)
_SESSION_AGENTS = re.compile(r"(?:codex|pi)\b|codex_", re.IGNORECASE)
"""Agents whose `x-client-request-id` names the thread; elsewhere it is new with each request."""

DEADLINE_SECONDS_MAX = 1e9
"""Beyond this a number of seconds is no time that anybody will wait."""
_KEY_HEADERS = ("x-api-key", "x-goog-api-key", "api-key")
_TELLS_SESSION, _TELLS_TRACE, _TELLS_WISH, _TELLS_HOP = 1, 2, 4, 8
_TELLING = {
    **dict.fromkeys((*_OWN_SESSION_HEADERS, *_SESSION_HEADERS), _TELLS_SESSION),
    "x-client-request-id": _TELLS_SESSION,
    "traceparent": _TELLS_TRACE,
    "x-evenkeel-deadline-seconds": _TELLS_WISH,
    "x-evenkeel-no-fallback": _TELLS_WISH,
    "x-stainless-retry-count": _TELLS_WISH,
    "connection": _TELLS_HOP,
}
_UNSET = frozenset({"", "0", "false", "no", "off"})
_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)
_VERSION_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_KEY_PARAMETERS = frozenset({"key", "api_key", "api-key", "access_token"})


class ClientHeaders:
    """A client's headers, gone through once.

    `first`: the first value of each, by names in lower case. `upstream`: what goes to a provider,
    without any credential.
    """

    __slots__ = ("_told", "first", "pairs", "upstream")

    def __init__(self, pairs: Headers) -> None:
        first: dict[str, str] = {}
        upstream = []
        told = 0
        for pair in pairs:
            lower, crosses, telling = _crossing(pair[0])
            first.setdefault(lower, pair[1])
            told |= telling
            if crosses:
                upstream.append(pair)
        if told & _TELLS_HOP and any(
            lower != "keep-alive" for lower in map(str.lower, _values_of("connection", pairs))
        ):
            upstream = to_upstream(pairs)
        self.pairs = pairs
        self.first = first
        self.upstream = upstream
        self._told = told

    def session(self, of_user: str = "") -> str:
        return session(self.first, of_user) if self._told & _TELLS_SESSION else of_user

    def traceparent(self) -> tuple[str, str, bool] | None:
        return traceparent(self.pairs) if self._told & _TELLS_TRACE else None

    def deadline_seconds(self) -> float | None:
        """Raises `ClientError`."""
        return deadline_seconds(self.first) if self._told & _TELLS_WISH else None

    def no_fallback(self) -> bool:
        return bool(self._told & _TELLS_WISH) and no_fallback(self.first)

    def client_retries(self) -> int:
        return client_retries(self.first) if self._told & _TELLS_WISH else 0


@lru_cache(maxsize=1024)
def _crossing(name: str) -> tuple[str, bool, int]:
    """In lower case, whether it goes upstream, and what it tells the gateway itself."""
    lower = name.lower()
    passes = lower not in _NOT_TO_UPSTREAM and not lower.startswith(_NOT_TO_UPSTREAM_PREFIXES)
    return lower, passes, _TELLING.get(lower, 0)


def client_keys(values: Values, query_key: str) -> list[str]:
    """The keys a client may have meant for us, likeliest first; each one once."""
    said = values.get("authorization")
    bearer = _BEARER.fullmatch(said.strip()) if said else None
    found = [bearer[1]] if bearer else []
    found.extend([values[name].strip() for name in _KEY_HEADERS if name in values])
    if query_key:
        found.append(query_key.strip())
    # Not printable: undecodable bytes, which no key holds and no hash could be made of.
    if len(found) == 1:
        return found if found[0] and found[0].isprintable() else []
    return list(dict.fromkeys([key for key in found if key and key.isprintable()]))


def to_upstream(headers: Headers) -> list[tuple[str, str]]:
    """A client's headers as they go to a provider, without any credential."""
    dropped = _with_connections_own(_NOT_TO_UPSTREAM, headers)
    return [
        (name, value)
        for name, value in headers
        if (lower := name.lower()) not in dropped
        and not lower.startswith(_NOT_TO_UPSTREAM_PREFIXES)
    ]


def with_alt(query: str, *, stream: bool) -> str:
    """A raw query string of Gemini's that asks for events where it streams, and for JSON else."""
    kept = [
        part
        for part in query.split("&")
        if part and unquote_plus(part.partition("=")[0]).lstrip("$") != "alt"
    ]
    return "&".join([*kept, "alt=sse"] if stream else kept)


def wants_events(query: str) -> bool:
    """Whether a raw query string of Gemini's asks for a stream as server-sent events."""
    pairs = (part.partition("=") for part in query.split("&"))
    return any(name.lstrip("$") == "alt" and value == "sse" for name, _, value in pairs)


def to_upstream_query(query: str) -> str:
    """A raw query string without the parameters that may hold the client's key."""
    if not query:
        return ""
    return "&".join(
        part
        for part in query.split("&")
        if unquote_plus(part.partition("=")[0]).lower() not in _KEY_PARAMETERS
    )


def credential_header(dialect: str, headers: Headers, key: str) -> tuple[str, str] | None:
    """The header that carries `key` to a provider of `dialect`; None without a key.

    `headers` are the client's: on Anthropic's side its API version decides the form, except for
    OAuth tokens, which are bearer tokens under every version.
    """
    if not key:
        return None
    if dialect == "gemini" and not key.startswith(GOOGLE_TOKEN):
        return "x-goog-api-key", key
    if dialect == "anthropic" and not key.startswith("sk-ant-oat"):
        version = first_values(headers).get("anthropic-version", "").strip()
        # ISO dates sort as text. Anything else is no version we know to want the new form.
        if not _VERSION_DATE.fullmatch(version) or version < ANTHROPIC_VERSION_BEARER:
            return "x-api-key", key
    return "Authorization", f"Bearer {key}"


def default_version(dialect: str, headers: Headers) -> tuple[str, str] | None:
    """The `anthropic-version` to add; None where it is not needed or the client sent its own."""
    if dialect != "anthropic" or first_values(headers).get("anthropic-version", "").strip():
        return None
    return "anthropic-version", ANTHROPIC_VERSION_DEFAULT


def to_client(headers: Headers) -> list[tuple[str, str]]:
    """A provider's headers as they go to the client."""
    kept = [pair for pair in headers if _reaches_client(pair[0])]
    listed = _values_of("connection", headers)
    if not listed or all(value.lower() in ("keep-alive", "close") for value in listed):
        return kept
    dropped = _with_connections_own(frozenset(), headers)
    return [pair for pair in kept if pair[0].lower() not in dropped]


@lru_cache(maxsize=1024)
def _reaches_client(name: str) -> bool:
    lower = name.lower()
    if lower in _NOT_TO_CLIENT or lower.startswith(_NOT_TO_CLIENT_PREFIXES):
        return False
    return not any(word in lower for word in _LIMIT_WORDS)


def session(values: Values, of_user: str = "") -> str:
    """The client's session id from its headers; empty if it gave none that can be used.

    `of_user`: the one in the body's `metadata.user_id`, which stands among them.
    """
    for name in _OWN_SESSION_HEADERS:
        if found := session_id(values.get(name)):
            return found
    if of_user:
        return of_user
    for name in _SESSION_HEADERS:
        if found := session_id(values.get(name)):
            return found
    agents = (values.get("user-agent", ""), values.get("originator", ""))
    if any(_SESSION_AGENTS.match(agent) for agent in agents):
        return session_id(values.get("x-client-request-id"))
    return ""


def deadline_seconds(values: Values) -> float | None:
    """How long the client will wait for the first content; None if it does not say.

    Raises `ClientError` 400 for what is no such time: a limit that is not kept is worse than none.
    """
    value = values.get("x-evenkeel-deadline-seconds")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds < DEADLINE_SECONDS_MAX:
        message = "`x-evenkeel-deadline-seconds` must be a number of seconds above 0."
        raise ClientError(400, "invalid_request", message)
    return seconds


def no_fallback(values: Values) -> bool:
    """Whether the client wants the first target's answer or its error, and nobody else's."""
    value = values.get("x-evenkeel-no-fallback", "")
    return value.strip().lower() not in _UNSET


def client_retries(values: Values) -> int:
    """How often the client's SDK has asked already; 0 if it does not say."""
    value = values.get("x-stainless-retry-count", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 3 else 0


def traceparent(headers: Headers) -> tuple[str, str, bool] | None:
    """Trace id, parent span id and sampled flag (W3C Trace Context); None if absent or invalid."""
    values = _values_of("traceparent", headers)
    found = _TRACEPARENT.fullmatch(values[0].strip()) if len(values) == 1 else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return trace_id, span_id, bool(int(flags, 16) & 1)


def first_values(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By lower-cased name; of a repeated one the first value."""
    return {name.lower(): value for name, value in reversed(list(headers))}


def _values_of(wanted: str, headers: Headers) -> list[str]:
    """Of one name only. Comparing lengths first spares most names their copy in lower case."""
    length = len(wanted)
    return [value for name, value in headers if len(name) == length and name.lower() == wanted]


def _with_connections_own(names: frozenset[str], headers: Headers) -> frozenset[str]:
    """`names` and those that a `Connection` header lists."""
    listed = _values_of("connection", headers)
    if not listed:
        return names
    return names | {token.strip().lower() for value in listed for token in value.split(",")}
