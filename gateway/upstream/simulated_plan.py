"""What a simulated provider will do with one request, decided before it does anything.

Pure: a `Plan` says after which waits which bytes come and how it ends; `simulated` plays it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from random import Random

from gateway.config import Weather
from gateway.events import Failure
from gateway.upstream import simulated_answers as answers
from gateway.upstream import simulated_speech as speech
from gateway.upstream.base import UpstreamFailure
from gateway.upstream.simulated_answers import Frames, Said
from gateway.upstream.simulated_asked import Asked, items, limit, problem, tool_call
from gateway.upstream.simulated_failures import HTML_PAGE, Refused, inner_error, refused
from gateway.upstream.simulated_gemini import gemini_count_body, gemini_embedding_body

SILENCE_SECONDS = 3600.0
"""How long a provider hangs: longer than any clock of the gateway."""
REFUSAL_SECONDS = 0.03
"""Refusals come fast."""
ANSWER_TOKENS_MAX = 20_000
"""However many a configuration asks for: an answer is built whole before it is paced."""
SILENT = frozenset({Failure.FIRST_CONTENT_TIMEOUT, Failure.CANCELLED, Failure.DEADLINE})
"""Whoever gives up first, the provider's part is the same: it says nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    wait_seconds: float
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    headers_after_seconds: float = 0.0
    unanswered: UpstreamFailure | None = None
    """Raised in place of an answer."""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    steps: tuple[Step, ...] = ()
    broken: UpstreamFailure | None = None
    """Raised behind the last step; None = the body ends properly."""


def plan(asked: Asked, *, failure: Failure | None, weather: Weather | None, rng: Random) -> Plan:
    """`weather` gives the pace and the stated time; `failure` is what has been drawn of it."""
    paced = _paced(asked, weather)
    if failure is None:
        wrong = problem(asked)
        return _good(paced) if not wrong else refusal(asked, Failure.BAD_REQUEST, message=wrong)
    stated = weather.retry_after_seconds if weather is not None else None
    said = refused(
        failure,
        asked.dialect,
        model=asked.outgoing.model,
        request_id=asked.request_id,
        retry_after_seconds=stated,
    )
    return _refusal(asked, said) if said is not None else _failing(paced, failure, rng)


def refusal(
    asked: Asked,
    failure: Failure,
    *,
    retry_after_seconds: float | None = None,
    message: str = "",
) -> Plan:
    """An error answer; `failure` must be one that comes with a status."""
    said = refused(
        failure,
        asked.dialect,
        model=asked.outgoing.model,
        request_id=asked.request_id,
        retry_after_seconds=retry_after_seconds,
        message=message,
    )
    assert said is not None
    return _refusal(asked, said)


def _refusal(asked: Asked, said: Refused) -> Plan:
    return Plan(
        headers_after_seconds=REFUSAL_SECONDS,
        status=said.status,
        headers=(*said.headers, _request_id(asked)),
        steps=(Step(0.0, said.body),),
    )


def _paced(asked: Asked, weather: Weather | None) -> Asked:
    if weather is None:
        return asked
    first, pace = weather.first_token_seconds, weather.tokens_per_second
    script = asked.script
    return replace(
        asked,
        script=replace(
            script,
            first_token_seconds=script.first_token_seconds if first is None else first,
            tokens_per_second=script.tokens_per_second if pace is None else pace,
        ),
    )


# -- good answers ----------------------------------------------------------------------------------


def _good(asked: Asked) -> Plan:
    if asked.streams:
        return Plan(headers=_headers(asked), steps=tuple(_stream_steps(asked, _frames(asked))))
    tokens = len(_said(asked).pieces) if asked.chat else 0
    wait = asked.script.first_token_seconds + tokens * _gap(asked)
    return Plan(
        headers_after_seconds=wait,
        headers=_headers(asked),
        steps=(Step(0.0, _body(asked)),),
    )


def _stream_steps(asked: Asked, frames: Frames) -> list[Step]:
    gap = _gap(asked)
    steps = [Step(0.0, b"".join(frames.head))]
    for n, frame in enumerate(frames.content):
        steps.append(Step(gap if n else asked.script.first_token_seconds, frame))
    steps.append(Step(0.0, b"".join(frames.tail)))
    return steps


def _gap(asked: Asked) -> float:
    pace = asked.script.tokens_per_second
    return 1.0 / pace if pace > 0 else 0.0


def _frames(asked: Asked) -> Frames:
    return speech.frames(asked.dialect, _said(asked))


def _body(asked: Asked) -> bytes:
    path = asked.outgoing.path
    if path.endswith("/count_tokens"):
        return answers.count_tokens_body(asked.input_tokens)
    if path.endswith(":countTokens"):
        return gemini_count_body(asked.input_tokens)
    if path.endswith(":embedContent"):
        return gemini_embedding_body(asked.rng(), inputs=None)
    if path.endswith(":batchEmbedContents"):
        return gemini_embedding_body(asked.rng(), inputs=len(items(asked.fields.get("requests"))))
    if path.endswith("/embeddings"):
        given = asked.fields.get("input")
        return answers.embeddings_body(
            asked.rng(),
            model=asked.outgoing.model,
            inputs=len(given) if isinstance(given, list) else 1,
            input_tokens=asked.input_tokens,
        )
    return speech.body(asked.dialect, _said(asked))


def _said(asked: Asked) -> Said:
    rng = asked.rng()
    tool = tool_call(asked.fields, rng)
    length = round(asked.script.answer_tokens * rng.uniform(0.5, 1.5))
    wanted = min(max(1, length), ANSWER_TOKENS_MAX) if tool is None else 0
    most = limit(asked.fields) or wanted
    pieces = answers.words(rng, min(wanted, most))
    options = asked.fields.get("stream_options")
    return Said(
        answer_id=asked.request_id,
        model=asked.outgoing.model,
        created=asked.created,
        pieces=pieces,
        tool=tool,
        input_tokens=asked.input_tokens,
        cached_tokens=asked.cached_tokens,
        output_tokens=len(pieces) if tool is None else len(tool.pieces()),
        cut=wanted > most,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _headers(asked: Asked) -> tuple[tuple[str, str], ...]:
    kind = "text/event-stream; charset=utf-8" if asked.streams else "application/json"
    return ("content-type", kind), _request_id(asked)


def _request_id(asked: Asked) -> tuple[str, str]:
    name = "request-id" if asked.dialect == "anthropic" else "x-request-id"
    return name, f"req_{asked.request_id}"


# -- failures without a status of their own --------------------------------------------------------


def _failing(asked: Asked, failure: Failure, rng: Random) -> Plan:
    if failure is Failure.CONNECT:
        return Plan(unanswered=UpstreamFailure(failure, "refused", processed=False))
    if failure is Failure.RESET_BEFORE_CONTENT:
        return Plan(headers_after_seconds=REFUSAL_SECONDS, unanswered=_reset())
    if failure is Failure.BAD_SUCCESS:
        return _bad_success(asked, rng)
    if failure in SILENT and not asked.streams:
        return Plan(headers_after_seconds=SILENCE_SECONDS, unanswered=_reset())
    good = _good(asked)
    if not asked.streams:
        half = good.steps[0].data[: len(good.steps[0].data) // 2]
        good = replace(good, steps=(Step(0.0, half),))
    elif failure in SILENT:
        good = replace(good, steps=good.steps[:1])
    else:  # The head and at least one frame of content, and never all of them.
        kept = 2 + (len(good.steps) - 3) // 2
        good = replace(good, steps=good.steps[:kept])
    if failure is not Failure.STREAM_BROKEN:
        return replace(good, steps=(*good.steps, Step(SILENCE_SECONDS, b"")), broken=_reset())
    return _broken_off(asked, good, rng)


def _broken_off(asked: Asked, begun: Plan, rng: Random) -> Plan:
    """A stream ends in one of the three ways seen in the wild, a single answer in one."""
    way = rng.choice(("cut", "no terminal marker", "error event")) if asked.streams else "cut"
    if way == "cut":
        failure = Failure.RESET_BEFORE_CONTENT
        return replace(begun, broken=UpstreamFailure(failure, "truncated", processed=True))
    if way == "no terminal marker":
        return begun
    error = inner_error(Failure.OVERLOADED, asked.dialect, model=asked.outgoing.model)
    event = Step(0.0, speech.error_event(asked.dialect, error))
    return replace(begun, steps=(*begun.steps, event))


def _bad_success(asked: Asked, rng: Random) -> Plan:
    """A 200 that is none: nothing, a page, or an error inside."""
    error = inner_error(Failure.SERVER_ERROR, asked.dialect, model=asked.outgoing.model)
    html = (("content-type", "text/html; charset=utf-8"), _request_id(asked))
    way = rng.choice(("nothing", "page", "error"))
    if way == "nothing":
        head = _good(asked).steps[0].data if asked.streams else b""
        return Plan(headers=_headers(asked), steps=(Step(REFUSAL_SECONDS, head),))
    if way == "page":
        return Plan(headers=html, steps=(Step(REFUSAL_SECONDS, HTML_PAGE),))
    data = (
        speech.error_event(asked.dialect, error)
        if asked.streams
        else json.dumps({"error": dict(error)}).encode()
    )
    return Plan(headers=_headers(asked), steps=(Step(REFUSAL_SECONDS, data),))


def _reset() -> UpstreamFailure:
    return UpstreamFailure(Failure.RESET_BEFORE_CONTENT, "reset", processed=True)
