"""Who may call: client keys, the admin key, and pages of other sites that may not.

Keys are compared by their SHA-256, so that neither a dictionary nor a comparison leaks them by
timing. Without keys the gateway is open to this machine only: then a browser is kept from carrying
other sites' requests in, by their `Host` (DNS rebinding) and `Origin`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address
from urllib.parse import urlsplit

from gateway.config import Auth, Client
from gateway.units import Instant
from gateway.wire.base import ClientError

WINDOW_SECONDS = 60.0


@dataclass(slots=True)
class Bucket:
    """`per_minute` tokens, refilled evenly."""

    per_minute: int
    tokens: float
    at: Instant

    def take(self, now: Instant) -> float:
        """Takes one token and returns 0, or returns the seconds until there is one."""
        rate = self.per_minute / WINDOW_SECONDS
        self.tokens = min(float(self.per_minute), self.tokens + (now - self.at) * rate)
        self.at = now
        if self.tokens < 1.0:
            return (1.0 - self.tokens) / rate
        self.tokens -= 1.0
        return 0.0


class RateExceeded(ClientError):
    """The client's own limit of requests per minute."""

    def __init__(self, client: str, per_minute: int, seconds: float) -> None:
        message = (
            f"Client {client!r} may send {per_minute} requests a minute; "
            f"the next one in {seconds:.1f} s."
        )
        super().__init__(429, "client_rate_limited", message)
        self.retry_after_seconds = seconds


class Access:
    """The keys of one configuration."""

    def __init__(self, auth: Auth, *, host: str) -> None:
        self._clients = {_digest(each.key.reveal()): each for each in auth.clients}
        self._admin = _digest(auth.admin_key.reveal()) if auth.admin_key else None
        self._host = host.lower()
        self._buckets: dict[str, Bucket] = {}

    def client(self, keys: Iterable[str]) -> Client | None:
        """Who calls, by any of the keys it sent; None where no client is configured.

        Raises `ClientError` 401.
        """
        if not self._clients:
            return None
        for key in keys:
            found = self._clients.get(_digest(key))
            if found is not None:
                return found
        message = "The gateway does not know this API key: send one of `auth.clients`."
        raise ClientError(401, "invalid_api_key", message)

    def spend(self, client: Client, now: Instant) -> None:
        """Counts one request. Raises `RateExceeded`."""
        limit = client.requests_per_minute
        if limit is None:
            return
        bucket = self._buckets.setdefault(client.name, Bucket(limit, float(limit), now))
        seconds = bucket.take(now)
        if seconds > 0:
            raise RateExceeded(client.name, limit, seconds)

    def admin(self, keys: Iterable[str]) -> None:
        """Raises `ClientError` 401 unless one of the keys is the admin's, or there is none."""
        if self._admin is None:
            return
        if not any(compare_digest(_digest(key), self._admin) for key in keys):
            message = (
                "This needs the admin key (`auth.admin_key`), as a bearer token or `x-api-key`."
            )
            raise ClientError(401, "invalid_admin_key", message)

    def guard_clients(self, headers: Mapping[str, str]) -> None:
        """Before an inference request; names in lower case. Raises `ClientError` 403."""
        if not self._clients:
            self._guard(headers)

    def guard_admin(self, headers: Mapping[str, str]) -> None:
        """Before a request for state, history or control. Raises `ClientError` 403."""
        if self._admin is None:
            self._guard(headers)

    def _guard(self, headers: Mapping[str, str]) -> None:
        """Where no key is asked for, what a browser brings from other sites stays out."""
        host = headers.get("host", "")
        name = _host_name(host)
        if not (name == self._host or _is_local(name)):
            message = (
                f"Without keys the gateway answers to this machine's names only, not to {name!r}."
            )
            raise ClientError(403, "foreign_host", message)
        origin = headers.get("origin")
        if origin and _is_foreign(origin, host.lower()):
            message = f"Pages of {origin!r} may not use a gateway without keys."
            raise ClientError(403, "foreign_origin", message)


def may_use(client: Client | None, model: str) -> bool:
    """Whether the client's `routes` permit that name."""
    if client is None or "*" in client.routes:
        return True
    return any(fnmatchcase(model, glob) for glob in client.routes)


@lru_cache(maxsize=256)
def _is_local(name: str) -> bool:
    if not name or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_foreign(origin: str, host: str) -> bool:
    """Other schemes are those of desktop programs; `null` is a page that hides where it is from."""
    parts = urlsplit(origin)
    if origin == "null" or parts.scheme in ("http", "https"):
        return parts.netloc.lower() != host
    return False


@lru_cache(maxsize=256)
def _host_name(host: str) -> str:
    """The name in a `Host` header, without port and brackets."""
    return (urlsplit(f"//{host}").hostname or "").lower() if "@" not in host else host


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()
