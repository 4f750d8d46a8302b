"""Errors of everything that is not inference: one JSON shape, one place that makes it.

Inference answers its own errors in the client's dialect; what reaches the middleware from there is
a bug of ours, and is told in that dialect as well.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec
from aiohttp import web

from gateway.api.context import CONTEXT, HistoryQuestionError, HistoryUnavailable
from gateway.api.endpoints import ANTHROPIC, wire_of
from gateway.wire.base import ClientError, ErrorAnswer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SDK_ROOTS = ("/v1/", "/v1beta/", "/v1alpha/")

log = logging.getLogger(__name__)


def json_response(value: object, *, status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers={"cache-control": "no-store"},
    )


def error_response(status: int, code: str, message: str) -> web.Response:
    return json_response({"error": {"code": code, "message": message}}, status=status)


@web.middleware
async def tell_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ClientError as error:
        return error_response(error.status, error.code, error.message)
    except HistoryQuestionError as error:
        return error_response(400, "invalid_query", str(error))
    except HistoryUnavailable as error:
        return error_response(503, "history_unavailable", str(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _http_error(request, error.status)
    except Exception:
        log.exception("a request failed inside the gateway", extra={"path": request.path})
        request.app[CONTEXT].internal_errors += 1
        message = "The gateway itself failed; its log says how."
        return _in_dialect(request, 500, "internal_error", message)


def _http_error(request: web.Request, status: int) -> web.Response:
    phrase = HTTPStatus(status).phrase
    match status:
        case 404:
            message = f"There is nothing at {request.path!r}."
        case 405:
            message = f"{request.method} is not allowed at {request.path!r}."
        case _:
            message = phrase
    return _in_dialect(request, status, phrase.lower().replace(" ", "_"), message)


def _in_dialect(request: web.Request, status: int, code: str, message: str) -> web.Response:
    """Under `/v1/` an SDK is listening, so that it gets an error it can parse."""
    if not request.path.startswith(SDK_ROOTS):
        return error_response(status, code, message)
    answer = ErrorAnswer(status=status, code=code, message=message, request_id="")
    return web.Response(
        status=status,
        body=wire_of(request).error_body(answer),
        content_type="application/json",
        headers={} if status >= 500 else {"x-should-retry": "false"},
    )


def not_supported(request: web.Request, message: str = "") -> web.Response:
    """An endpoint that a vendor has and the gateway has not. What will not change by itself is a
    4xx, as agents repeat every 5xx; but Claude Code is promised a 501."""
    status = 501 if wire_of(request) is ANTHROPIC else 404
    message = message or f"{request.method} {request.path} is not supported by Evenkeel."
    response = _in_dialect(request, status, "not_supported", message)
    response.headers["x-should-retry"] = "false"
    return response
