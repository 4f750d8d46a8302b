"""`/api/v1/openapi.json`: the operators' paths as an OpenAPI 3.1 document.

Made from what the handlers themselves use: the events' fields, the closed sets, the control body.
`tests/gateway/api/test_openapi.py` compares it with the table of paths, and
`tests/end_to_end/test_openapi.py` with what a running gateway answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, get_args

import msgspec
from aiohttp import web

from gateway.api.context import CONTEXT
from gateway.api.control import Body
from gateway.api.errors import json_response
from gateway.events import (
    AttemptFinished,
    AttemptOutcome,
    CandidateSkipped,
    Event,
    Failure,
    RequestFinished,
    RequestOutcome,
    Switched,
    Usage,
)

Schema = dict[str, Any]

TABLES: Final[Mapping[str, tuple[type[Event], ...]]] = MappingProxyType(
    {
        "events": (),
        "requests": (RequestFinished,),
        "attempts": (AttemptFinished, CandidateSkipped),
        "switches": (Switched,),
        "cooldowns": (),
    }
)
"""History table → the events whose fields its rows have; empty: rows of several shapes."""
RENAMED: Final = {"from_target": "from", "to_target": "to", "switch": "kind"}
KINDS: Final = tuple(kind.kind for kind in get_args(Event))
QUESTIONS: Final = (
    "flapping",
    "scope",
    "triggers",
    "onset",
    "users",
    "cost",
    "cooldowns",
    "amplification",
    "capacity",
    "acts",
)
WHOLE: Final[Schema] = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
TEXT: Final[Schema] = {"type": "string", "pattern": r"^[\x20-\x7e]{1,80}$"}
ERRORS: Final = ("400", "401", "403", "404", "405", "422", "429", "503")
SECONDS_MAX: Final = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    method: str
    path: str
    summary: str
    answer: Schema
    query: tuple[Schema, ...] = ()
    body: bool = False
    stream: tuple[str, ...] = ()
    """Media types beside JSON."""
    errors: tuple[str, ...] = ("400", "401", "403", "429", "503")


def _parameter(name: str, schema: Schema, about: str = "") -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": about}


def _listed(values: tuple[str, ...]) -> Schema:
    """One of a closed set, or several separated by commas."""
    one = "|".join(values)
    return {"type": "string", "pattern": f"^({one})(,({one}))*$"}


TIMES: Final = (
    _parameter("since", WHOLE, "Unix microseconds, included."),
    _parameter("until", WHOLE, "Unix microseconds, not included."),
)
FILTERS: Final = (
    *TIMES,
    _parameter("kind", _listed(KINDS), "Kinds of event, separated by commas."),
    *(
        _parameter(name, TEXT)
        for name in ("route", "provider", "target", "credential", "session", "request_id")
    ),
    _parameter("outcome", _listed(tuple(dict.fromkeys((*AttemptOutcome, *RequestOutcome))))),
    _parameter("failure", _listed(tuple(Failure))),
)
PAGING: Final = (
    _parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 200}),
    _parameter("order", {"type": "string", "enum": ["asc", "desc"], "default": "desc"}),
    _parameter("cursor", TEXT, "`next_cursor` of a page, with the same filters and order."),
)


def _page(rows: str) -> Schema:
    return {
        "type": "object",
        "required": ["items", "next_cursor"],
        "properties": {
            "items": {"type": "array", "items": {"$ref": f"#/components/schemas/{rows}"}},
            "next_cursor": {"type": ["string", "null"]},
        },
    }


def _object(*required: str) -> Schema:
    return {"type": "object", "required": list(required)}


def _operations() -> tuple[Operation, ...]:
    return (*_of_history(), *_of_state(), *_of_control())


def _of_history() -> tuple[Operation, ...]:
    tables = (
        Operation(
            method="get",
            path=f"/api/v1/{name}",
            summary=f"A page, an export or (events) a live tail of `{name}`",
            query=(*FILTERS, *PAGING),
            answer=_page(name),
            stream=("application/x-ndjson",) + (("text/event-stream",) if name == "events" else ()),
        )
        for name in TABLES
    )
    return (
        *tables,
        Operation(
            method="get",
            path="/api/v1/requests/{request_id}",
            summary="One request and every candidate, in order",
            answer=_object("request", "candidates"),
            errors=("401", "403", "404", "429", "503"),
        ),
        Operation(
            method="get",
            path="/api/v1/switches/aggregate",
            summary="How often which target followed which, by time",
            query=(
                *FILTERS,
                _parameter("by", {"type": "string", "enum": ["pair"]}),
                _parameter("bucket_seconds", {"type": "integer", "minimum": 1, "maximum": 10**9}),
            ),
            answer=_page("any"),
        ),
        Operation(
            method="get",
            path="/api/v1/questions/{question}",
            summary="What an operator on call asks of a window",
            query=(*TIMES, _parameter("route", TEXT)),
            answer=_object("question", "asks", "since", "until", "gaps", "items"),
        ),
    )


def _of_state() -> tuple[Operation, ...]:
    return (
        Operation(
            method="get",
            path="/api/v1/status",
            summary="Routes, targets, credentials, cooldowns now",
            answer=_object("version", "now", "routes", "providers", "cooldowns"),
            errors=("401", "403", "429"),
        ),
        Operation(
            method="get",
            path="/api/v1/config",
            summary="The effective configuration, masked",
            answer={"type": "object"},
            errors=("401", "403", "429"),
        ),
        Operation(
            method="get",
            path="/api/v1/explain",
            summary="The decision that a request would get now",
            query=(
                {**_parameter("model", TEXT), "required": True},
                _parameter("session", TEXT),
                _parameter("client", TEXT),
                _parameter("dialect", {"type": "string", "enum": ["openai", "anthropic"]}),
                _parameter("body_tokens", {"type": "integer", "minimum": 0, "maximum": 10**9}),
            ),
            answer=_object("model", "at", "choice", "candidates"),
            errors=("400", "401", "403", "404", "429"),
        ),
        Operation(
            method="get",
            path="/api/v1/openapi.json",
            summary="This document",
            answer={"type": "object"},
            errors=("401", "403", "429"),
        ),
    )


def _of_control() -> tuple[Operation, ...]:
    acts = [("reset", "/api/v1/cooldowns/reset")]
    acts += [
        (act, f"/api/v1/targets/{{provider}}/{{model}}/{act}")
        for act in ("rest", "drain", "enable")
    ]
    acts += [(act, f"/api/v1/routes/{{route}}/{act}") for act in ("pin", "unpin", "clear-penalty")]
    return (
        *(
            Operation(
                method="post",
                path=path,
                summary=f"An operator's act: {act}",
                body=True,
                answer=_object("done", "events"),
                errors=("400", "401", "403", "404", "429"),
            )
            for act, path in acts
        ),
        Operation(
            method="post",
            path="/api/v1/reload",
            summary="Reads the configuration again",
            body=True,
            answer=_object("config_version", "changes"),
            errors=("400", "401", "403", "422", "429"),
        ),
    )


@lru_cache(maxsize=1)
def document(version: str) -> Schema:
    paths: dict[str, Schema] = {}
    for each in _operations():
        paths.setdefault(each.path, {})[each.method] = _described(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Evenkeel", "version": version},
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"admin": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"admin": []}, {}],
    }


async def openapi(request: web.Request) -> web.Response:
    return json_response(document(request.app[CONTEXT].version))


def _described(each: Operation) -> Schema:
    places = [part[1:-1] for part in each.path.split("/") if part.startswith("{")]
    told: Schema = {
        "summary": each.summary,
        "parameters": [*(_place(name) for name in places), *each.query],
        "responses": {
            "200": {
                "description": "Done",
                "content": {
                    "application/json": {"schema": each.answer},
                    **{kind: {"schema": {"type": "string"}} for kind in each.stream},
                },
            },
            **{code: _refusal() for code in each.errors},
        },
    }
    if each.body:
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}}
        told["requestBody"] = {"required": False, "content": content}
    return told


def _place(name: str) -> Schema:
    # Else a name could be `aggregate` or hold a slash, and mean another path.
    schema: Schema = {"type": "string", "pattern": "^[a-z0-9]{1,30}$"}
    if name == "question":
        schema = {"type": "string", "enum": list(QUESTIONS)}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _refusal() -> Schema:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": "It could not be done; `error.message` says why", "content": content}


def _schemas() -> Schema:
    _, made = msgspec.json.schema_components(
        [Body, *get_args(Event)], ref_template="#/components/schemas/{name}"
    )
    seconds = {"type": "number", "exclusiveMinimum": 0, "maximum": SECONDS_MAX}
    made["Body"]["properties"]["expires_seconds"] = {"anyOf": [seconds, {"type": "null"}]}
    error: Schema = {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            }
        },
    }
    rows = {name: _row(kinds, made) for name, kinds in TABLES.items()}
    return {**made, "Error": error, "any": {"type": "object"}, **rows}


def _row(kinds: tuple[type[Event], ...], made: Mapping[str, Schema]) -> Schema:
    """A row: the stamp, and each field of its events, which NULL may stand for."""
    found: dict[str, Schema] = {}
    for kind in kinds:
        for name, schema in made[kind.__name__]["properties"].items():
            if name == "usage":
                tokens = made[Usage.__name__]["properties"]
                found |= {each: _or_null(one) for each, one in tokens.items()}
                continue
            column = RENAMED.get(name, name)
            # Where two kinds share a table, a field may mean more than one of them says.
            found[column] = _or_null(schema) if column not in found else {}
    stamp = {"id": WHOLE, "ts": WHOLE, "seq": WHOLE, "boot_id": {"type": "string"}}
    stamp |= {"kind": {"type": "string"}} if "kind" not in found else {}
    required = [*stamp, "kind"] if "kind" not in stamp else list(stamp)
    return {"type": "object", "required": required, "properties": {**found, **stamp}}


def _or_null(schema: Schema) -> Schema:
    bare = {name: value for name, value in schema.items() if name not in ("default", "description")}
    return {"anyOf": [bare, {"type": "null"}]}
