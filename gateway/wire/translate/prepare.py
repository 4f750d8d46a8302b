"""A conversation made fit for a target before it is written: what all targets ask for alike.

Ids and names that the target would refuse are renamed, the same way in every turn; results follow
their calls; what a vendor sealed is put where it came from.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from gateway.wire.tool_ids import new_names
from gateway.wire.translate.neutral import (
    Call,
    Context,
    Conversation,
    Part,
    Result,
    Thought,
    Tool,
    Turn,
)
from gateway.wire.translate.reading import json_text

NAME_CHARS_MAX = 64
"""OpenAI's and Gemini's limit for tools; Claude Code's MCP tools are longer."""
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")
_ATTRIBUTION = "x-anthropic-billing-header:"
"""Claude Code's first system block: told to its vendor, and different in each of its versions."""

_CUSTOM_SCHEMA = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


def prepare(talk: Conversation, context: Context) -> None:
    """Changes `talk`, and tells `context` what the answer has to undo."""
    talk.system = [each for each in talk.system if not each.text.startswith(_ATTRIBUTION)]
    calls = [part for turn in talk.turns for part in turn.parts if isinstance(part, Call)]
    results = [part for turn in talk.turns for part in turn.parts if isinstance(part, Result)]
    _rename_ids(calls, results)
    talk.turns = _settled(talk.turns)
    for turn in talk.turns:
        if turn.role == "assistant":
            _put_seals_back(turn)
    context.calls = len(calls)
    context.usage_in_stream = talk.usage_in_stream
    context.custom = frozenset(tool.name for tool in talk.tools if tool.custom)
    _custom_as_functions(talk, calls)
    _rename_tools(talk, calls, results, context)


def _rename_ids(calls: list[Call], results: list[Result]) -> None:
    renamed = new_names(
        [*(each.id for each in calls), *(each.id for each in results)], only_safe=False
    )
    names: dict[str, str] = {}
    for call in calls:
        call.id = renamed.get(call.id, call.id)
        names[call.id] = call.name
    for result in results:
        result.id = renamed.get(result.id, result.id)
        result.name = names.get(result.id, result.name)


def _settled(turns: list[Turn]) -> list[Turn]:
    """With the results directly behind the turn that made the calls, in the order of the calls."""
    settled: list[Turn] = []
    between: list[Turn] = []
    order: dict[str, int] = {}
    for turn in [*turns, None]:
        if turn is not None and turn.role != "assistant":
            between.append(turn)
            continue
        settled += _results_first(between, order)
        between = []
        if turn is not None:
            settled.append(turn)
            ids = [part.id for part in turn.parts if isinstance(part, Call)]
            order = {own_id: place for place, own_id in enumerate(ids)}
    return settled


def _results_first(turns: list[Turn], order: dict[str, int]) -> list[Turn]:
    results = [part for turn in turns for part in turn.parts if isinstance(part, Result)]
    if not results:
        return turns
    results.sort(key=lambda each: order.get(each.id, len(order)))
    first: list[Part] = [*results]
    made = [Turn("user", first)]
    for turn in turns:
        rest: list[Part] = [part for part in turn.parts if not isinstance(part, Result)]
        if rest and made[-1].role == turn.role:
            made[-1].parts += rest
        elif rest:
            made.append(Turn(turn.role, rest))
    return made


def _put_seals_back(turn: Turn) -> None:
    """Google seals calls. A dialect without a place for it had a thought before the call."""
    kept: list[Part] = []
    for part in turn.parts:
        before = kept[-1] if kept else None
        if (
            isinstance(part, Call)
            and isinstance(before, Thought)
            and before.seal is not None
            and before.seal.kind == "gemini"
        ):
            part.seal = part.seal or before.seal
            if not before.text:
                kept.pop()
        kept.append(part)
    turn.parts = kept


def _custom_as_functions(talk: Conversation, calls: list[Call]) -> None:
    for tool in talk.tools:
        if tool.custom:
            tool.custom, tool.schema = False, _CUSTOM_SCHEMA
    for call in calls:
        if call.custom:
            call.custom, call.arguments = False, json_text({"input": call.arguments})


def _rename_tools(
    talk: Conversation, calls: list[Call], results: list[Result], context: Context
) -> None:
    taken = {tool.name for tool in talk.tools}
    renamed: dict[str, str] = {}
    named: list[Tool | Call | Result] = [*talk.tools, *calls, *results]
    for each in named:
        if each.name not in renamed and (new := legal_name(each.name)) != each.name:
            renamed[each.name] = new if new not in taken else legal_name(each.name, again=True)
        each.name = renamed.get(each.name, each.name)
    if talk.choice is not None and talk.choice.name in renamed:
        talk.choice = type(talk.choice)("named", renamed[talk.choice.name])
    context.names = {new: old for old, new in renamed.items()}


def legal_name(name: str, *, again: bool = False) -> str:
    """As it is where it can be. Else told apart by a few digits that depend on the name only."""
    if len(name) <= NAME_CHARS_MAX and not _ILLEGAL.search(name) and not again:
        return name
    digest = blake2b(name.encode(errors="replace"), digest_size=4).hexdigest()
    return f"{_ILLEGAL.sub('_', name)[: NAME_CHARS_MAX - 9]}_{digest}"
