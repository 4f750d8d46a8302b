"""The inference routes as the gateway's own server sees them: a target, and what answers there."""

from __future__ import annotations

import logging
from typing import Final
from urllib.parse import parse_qsl

from gateway.api.context import Context
from gateway.api.endpoints import ENDPOINTS, at
from gateway.api.inference import Inference
from gateway.relay.answering import JSON_TYPE, Answer, ClientGone
from gateway.relay.incoming import Incoming
from gateway.wire.base import ErrorAnswer

FAILED: Final = "The gateway itself failed; its log says how."

log = logging.getLogger(__name__)


class Hot:
    """What is asked at one target."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference

    async def answer(self, incoming: Incoming, answer: Answer) -> None:
        """Answers one request; a failure of our own is told in the client's dialect."""
        try:
            await self.inference.answer(incoming, answer)
        except Exception:
            context, endpoint = self.inference.context, self.inference.endpoint
            log.exception("a request failed inside the gateway", extra={"path": endpoint.path})
            context.internal_errors += 1
            told = ErrorAnswer(status=500, code="internal_error", message=FAILED, request_id="")
            try:
                await answer.whole(500, [JSON_TYPE], endpoint.wire.error_body(told))
            except ClientGone:
                return


class HotRoutes:
    """Finds what answers a POST to a target; None for all that aiohttp answers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._fixed = {each.path: Hot(Inference(context, each)) for each in ENDPOINTS}

    def __call__(self, target: str) -> Hot | None:
        found = self._fixed.get(target)
        if found is not None:
            return found
        path, _, query = target.partition("?")
        endpoint = at(path, query)
        if endpoint is None:
            return None
        keys = [value for name, value in parse_qsl(query) if name == "key"] if query else []
        return Hot(Inference(self._context, endpoint, query, keys[0] if keys else ""))
