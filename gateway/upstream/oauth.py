"""Access tokens of OAuth accounts: kept, refreshed before they expire, one refresh at a time.

A refresh belongs to the account and not to the request that needed it: whoever waits may go away.
The endpoint's word that a refresh token is dead is final until the account's file holds another one.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp

from gateway.config import NO_SECRET, OAuth
from gateway.events import Failure
from gateway.units import Clock, Instant, Secret
from gateway.upstream.base import UpstreamFailure
from gateway.upstream.token_file import TokenFile

REFRESH_SECONDS = 10.0
"""For one refresh from its connection to its last byte; who waits has less patience than that."""
SKEW_SECONDS = 300.0
"""So long before a token's end a new one is fetched, while requests go on with the old one."""
SKEW_SHARE = 0.2
"""But of a short life no more than this share."""
LIFETIME_SECONDS = 3600.0
"""Of a token whose answer names none: what the large providers give."""
AHEAD_GAP_SECONDS = 10.0
"""Between two refreshes ahead of time, where the first one failed."""
ANSWER_BYTES_MAX = 64 * 1024
USER_AGENT = f"evenkeel/{version('evenkeel')}"
"""The gateway's own name, and nobody else's."""

DEAD = frozenset({"invalid_grant", "invalid_client", "unauthorized_client"})
"""RFC 6749 section 5.2: what no later try will change."""

TEMPORARY = frozenset({"internal_failure", "server_error", "slow_down", "temporarily_unavailable"})

LONG_AGO = Instant(float("-inf"))

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Account:
    """What is known of one account; changed by its refresh only, and by `refused`."""

    oauth: OAuth
    file: TokenFile | None
    refresh_token: Secret
    access: Secret = NO_SECRET
    fresh_until: Instant = LONG_AGO
    """From here on a new token is fetched ahead of time."""
    valid_until: Instant = LONG_AGO
    ahead_after: Instant = LONG_AGO
    dead: UpstreamFailure | None = None
    task: asyncio.Task[UpstreamFailure | None] | None = None


@dataclass(slots=True)
class Accounts:
    """All accounts of the process, as long as `accounts` is open."""

    session: aiohttp.ClientSession
    clock: Clock
    folder: Path
    """What a relative `token_file` is relative to."""
    _group: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)
    _known: dict[OAuth, _Account] = field(default_factory=dict)

    async def token(self, oauth: OAuth, *, seconds: float) -> Secret:
        """An access token that is valid now, within `seconds`. Raises `UpstreamFailure`."""
        account = self._account(oauth)
        now = self.clock.now().instant
        if account.access and now < account.valid_until:
            if now >= account.fresh_until and now >= account.ahead_after:
                account.ahead_after = Instant(now + AHEAD_GAP_SECONDS)
                self._refreshing(account)
            return account.access
        if account.dead is not None and not await self._replaced(account):
            raise _anew(account.dead)
        refreshing = self._refreshing(account)
        # `wait` leaves the task alone, both when the time is up and when this request is cancelled.
        done, _ = await asyncio.wait({refreshing}, timeout=seconds)
        if not done:
            raise _unreachable("token_timeout")
        failure = refreshing.result()
        if failure is not None:
            raise _anew(failure)
        return account.access

    def refused(self, oauth: OAuth, token: Secret) -> None:
        """The provider took `token` for invalid: unless there is a newer one, another is fetched."""
        account = self._account(oauth)
        if account.access == token:
            account.access = NO_SECRET

    def stop(self) -> None:
        for account in self._known.values():
            if account.task is not None:
                account.task.cancel()

    def _account(self, oauth: OAuth) -> _Account:
        key = replace(oauth, project="")
        if key not in self._known:
            file = TokenFile(self.folder / oauth.token_file) if oauth.token_file else None
            self._known[key] = _Account(oauth, file, oauth.refresh_token)
        return self._known[key]

    def _refreshing(self, account: _Account) -> asyncio.Task[UpstreamFailure | None]:
        """The account's one refresh: that which is under way, or a new one."""
        if account.task is None or account.task.done():
            account.task = self._group.create_task(self._refresh(account), name="token refresh")
        return account.task

    async def _replaced(self, account: _Account) -> bool:
        """Whether somebody has put another refresh token into the file since this one died."""
        if account.file is None:
            return False
        try:
            found = await asyncio.to_thread(account.file.read)
        except (OSError, ValueError):
            return False
        return found != account.refresh_token

    async def _refresh(self, account: _Account) -> UpstreamFailure | None:
        """Returns what went wrong, so that everybody who waits is told."""
        try:
            async with asyncio.timeout(REFRESH_SECONDS):
                await self._renew(account)
        except UpstreamFailure as failure:
            if failure.reason in DEAD:
                account.dead = failure
            return failure
        except TimeoutError:
            return _unreachable("token_timeout")
        except (aiohttp.ClientError, OSError, ValueError):
            return _unreachable("token_endpoint")
        return None

    async def _renew(self, account: _Account) -> None:
        if account.file is not None:
            # Read each time: another process may use the same account and have got a new one.
            account.refresh_token = await _from_file(account.file)
        status, answer = await self._ask(account)
        if status != 200 or not isinstance(answer.get("access_token"), str):
            raise _refusal(status, answer)
        life = _seconds(answer.get("expires_in"))
        now = self.clock.now().instant
        account.access = Secret(answer["access_token"])
        account.valid_until = Instant(now + life)
        account.fresh_until = Instant(now + life - min(SKEW_SECONDS, SKEW_SHARE * life))
        account.dead = None
        rotated = answer.get("refresh_token")
        if isinstance(rotated, str) and rotated and rotated != account.refresh_token.reveal():
            account.refresh_token = Secret(rotated)
            await _keep(account)

    async def _ask(self, account: _Account) -> tuple[int, dict[str, Any]]:
        """RFC 6749 section 6, the client's own credentials in the form."""
        oauth = account.oauth
        form = {
            "grant_type": "refresh_token",
            "refresh_token": account.refresh_token.reveal(),
            "client_id": oauth.client_id,
            "client_secret": oauth.client_secret.reveal(),
        }
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
            "user-agent": USER_AGENT,
        }
        async with self.session.post(
            oauth.token_url, data=urlencode(form).encode(), headers=headers, allow_redirects=False
        ) as response:
            body = await response.content.read(ANSWER_BYTES_MAX)
            while not response.content.at_eof() and len(body) < ANSWER_BYTES_MAX:
                body += await response.content.read(ANSWER_BYTES_MAX - len(body))
            return response.status, _mapping(body)


@asynccontextmanager
async def accounts(
    session: aiohttp.ClientSession, *, clock: Clock, folder: Path
) -> AsyncIterator[Accounts]:
    """Owns the refreshes: none outlives it."""
    group = asyncio.TaskGroup()
    await group.__aenter__()
    found = Accounts(session, clock, folder, group)
    try:
        yield found
    finally:
        found.stop()
        await group.__aexit__(None, None, None)


async def _from_file(file: TokenFile) -> Secret:
    try:
        return await asyncio.to_thread(file.read)
    except (OSError, ValueError):
        raise UpstreamFailure(Failure.AUTH, "token_file", processed=False) from None


async def _keep(account: _Account) -> None:
    """A new refresh token outlives the process only where there is a file for it."""
    if account.file is None:
        log.warning(
            "a refresh token was replaced and is known to this process only: use token_file"
        )
        return
    try:
        await asyncio.to_thread(account.file.write, account.refresh_token)
    except OSError:
        log.exception("a new refresh token cannot be written to token_file")


def _refusal(status: int, answer: dict[str, Any]) -> UpstreamFailure:
    """What the token endpoint's refusal means: a dead account, or an endpoint that is not well."""
    code = answer.get("error")
    if isinstance(code, str) and code in DEAD:
        return UpstreamFailure(Failure.AUTH, code, processed=False)
    if status in (400, 401, 403) and isinstance(code, str) and code not in TEMPORARY:
        return UpstreamFailure(Failure.AUTH, "token_refused", processed=False)
    return _unreachable("token_endpoint")


def _anew(failure: UpstreamFailure) -> UpstreamFailure:
    """One exception for each who raises it: they gather tracebacks."""
    return UpstreamFailure(failure.failure, failure.reason, processed=False)


def _unreachable(reason: str) -> UpstreamFailure:
    return UpstreamFailure(Failure.CONNECT, reason, processed=False)


def _seconds(value: object) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        return LIFETIME_SECONDS
    return seconds if 0.0 < seconds < 1e9 else LIFETIME_SECONDS


def _mapping(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
