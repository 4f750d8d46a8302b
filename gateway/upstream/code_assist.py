"""Gemini Code Assist with the operator's own account: Gemini's requests in the documented envelope.

Sent by the direct upstream, as the gateway and in nobody else's name: of the client's headers only
the trace goes along. A token that is refused is renewed and the request sent once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from uuid import uuid4

import msgspec

from gateway.config import Dialect
from gateway.events import Failure
from gateway.units import Secret
from gateway.upstream.base import Outgoing, Reply, Upstream, UpstreamFailure, chunks
from gateway.upstream.oauth import USER_AGENT, Accounts
from gateway.wire import code_assist as wire

ANSWER_BYTES_MAX = 64 * 1024 * 1024
"""Of one single answer: it is held whole to be taken out of its envelope."""
LOAD_BYTES_MAX = 1024 * 1024
MASK = b"***"


@dataclass(slots=True)
class CodeAssistUpstream:
    """Implements `Upstream` on top of the direct one."""

    direct: Upstream
    accounts: Accounts
    _projects: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """By base URL, token address and account; an account's project does not change."""

    async def send(self, outgoing: Outgoing) -> Reply:
        method = wire.method_of(outgoing.path)
        if not method:
            # Not `unsupported`: that would rest the target for those who ask what it has.
            raise UpstreamFailure(Failure.BAD_REQUEST, "unsupported_endpoint", processed=False)
        timeouts = outgoing.timeouts
        try:
            # Whatever has to be fetched first, an attempt's head is there in the usual time.
            async with asyncio.timeout(timeouts.connect_seconds + timeouts.headers_seconds):
                token, reply = await self._answered(outgoing, method)
        except TimeoutError:
            failure, reason = Failure.FIRST_CONTENT_TIMEOUT, "headers_timeout"
            raise UpstreamFailure(failure, reason, processed=True) from None
        return CodeAssistReply(reply, token, stream=method == wire.STREAM)

    async def _answered(self, outgoing: Outgoing, method: str) -> tuple[Secret, Reply]:
        token = await self._token(outgoing)
        reply = await self._once(outgoing, method, token)
        if reply.status != 401:
            return token, reply
        await reply.close()
        self.accounts.refused(outgoing.credential.oauth, token)
        token = await self._token(outgoing)
        # A second refusal is no matter of an old token, and the answer.
        return token, await self._once(outgoing, method, token)

    async def _token(self, outgoing: Outgoing) -> Secret:
        """Getting a token is a part of connecting, and has that clock."""
        seconds = outgoing.timeouts.connect_seconds
        return await self.accounts.token(outgoing.credential.oauth, seconds=seconds)

    async def _once(self, outgoing: Outgoing, method: str, token: Secret) -> Reply:
        project = ""
        if method != wire.COUNT:
            project = await self._project(outgoing, token)
        try:
            body = wire.wrapped(
                outgoing.body,
                method,
                model=outgoing.model,
                project=project,
                prompt_id=_prompt_id(outgoing),
                session=_session(outgoing),
            )
        except ValueError:
            raise UpstreamFailure(Failure.BAD_REQUEST, "not_json", processed=False) from None
        return await self.direct.send(_addressed(outgoing, method, body, token))

    async def _project(self, outgoing: Outgoing, token: Secret) -> str:
        oauth = outgoing.credential.oauth
        if oauth.project:
            return oauth.project
        account = blake2b(
            f"{oauth.refresh_token.reveal()}\n{oauth.token_file}".encode()
        ).hexdigest()
        key = (outgoing.provider.base_url, oauth.token_url, account)
        if key not in self._projects:
            # Asked by each request that comes before the first answer: rare, and harmless.
            self._projects[key] = await self._load(outgoing, token)
        return self._projects[key]

    async def _load(self, outgoing: Outgoing, token: Secret) -> str:
        asked = _addressed(outgoing, wire.LOAD, wire.load_request(), token)
        reply = await self.direct.send(asked)
        try:
            body = await _whole(reply, LOAD_BYTES_MAX)
        finally:
            await reply.close()
        if reply.status == 401:
            # The next attempt brings a new token; this one has spent enough of its time.
            self.accounts.refused(outgoing.credential.oauth, token)
        if reply.status in (401, 403):
            raise UpstreamFailure(Failure.AUTH, "project_refused", processed=False)
        if reply.status != 200:
            raise UpstreamFailure(Failure.CONNECT, "project_unknown", processed=False)
        project, why_not = wire.project_of(body)
        if not project:
            raise UpstreamFailure(Failure.AUTH, why_not, processed=False)
        return project


class CodeAssistReply(Reply):
    """The answer without its envelope, and an error without the token."""

    def __init__(self, reply: Reply, token: Secret, *, stream: bool) -> None:
        self.status = reply.status
        self.headers = reply.headers
        self._reply = reply
        self._token = token
        self._stream = stream
        self._parts = self._made()

    def pairs(self) -> list[tuple[str, str]]:
        return self._reply.pairs()

    async def chunk(self) -> bytes | None:
        return await anext(self._parts, None)

    async def _made(self) -> AsyncIterator[bytes]:
        if not 200 <= self.status <= 299:
            yield self._masked(await _whole(self._reply, ANSWER_BYTES_MAX))
        elif self._stream:
            unwrapping = wire.UnwrappedStream()
            async for chunk in chunks(self._reply):
                yield unwrapping.feed(chunk)
            yield unwrapping.end()
        else:
            yield wire.unwrapped(await _whole(self._reply, ANSWER_BYTES_MAX))

    async def close(self) -> None:
        await self._reply.close()

    def _masked(self, body: bytes) -> bytes:
        return body.replace(self._token.reveal().encode(), MASK)


def _addressed(outgoing: Outgoing, method: str, body: bytes, token: Secret) -> Outgoing:
    traces = tuple(each for each in outgoing.headers if each[0].lower() == "traceparent")
    accept = "text/event-stream" if method == wire.STREAM else "application/json"
    own = (
        ("Content-Type", "application/json"),
        ("Accept", accept),
        ("User-Agent", USER_AGENT),
    )
    return msgspec.structs.replace(
        outgoing,
        credential=replace(outgoing.credential, key=token),
        dialect=Dialect.CODE_ASSIST.value,
        path=f":{method}",
        query="alt=sse" if method == wire.STREAM else "",
        headers=(*own, *traces),
        body=body,
    )


def _prompt_id(outgoing: Outgoing) -> str:
    """One for each attempt: the trace's, so that both sides' records can be laid side by side."""
    traces = [value for name, value in outgoing.headers if name.lower() == "traceparent"]
    parts = traces[0].split("-") if traces else []
    return "-".join(parts[1:3]) if len(parts) > 3 else uuid4().hex


def _session(outgoing: Outgoing) -> str:
    """The gateway's own word for the client's session, of which nothing can be read."""
    if not outgoing.session:
        return ""
    return blake2b(outgoing.session.encode(), digest_size=16).hexdigest()


async def _whole(reply: Reply, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks(reply):
        size += len(chunk)
        if size > bytes_max:
            raise UpstreamFailure(Failure.BAD_SUCCESS, "too_large", processed=True)
        parts.append(chunk)
    return b"".join(parts)


_UPSTREAM: type[Upstream] = CodeAssistUpstream
