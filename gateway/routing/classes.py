"""What providers' errors mean, as tables: one row says "these codes or words are that failure".

To teach the gateway a new error add a row to its provider's table and a case to
`tests/gateway/routing/cases.json`; no code changes. Rows with codes are asked before rows without,
for the provider's most specific code first; within a table the first row that holds wins.

Words of a 400 that blame a key must be anchored (`^`): validation errors echo prompts, and no
client may park a key by writing "insufficient balance" into one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.events import Failure
from gateway.routing.classes_hosts import (
    CEREBRAS,
    COHERE,
    DASHSCOPE,
    FIREWORKS,
    GITHUB,
    GLM,
    GROQ,
    MISTRAL,
    MOONSHOT,
    OPENROUTER,
    TOGETHER,
    XAI,
)
from gateway.routing.classes_labs import ANTHROPIC, AZURE, BEDROCK, GOOGLE, ONE_MODEL, OPENAI
from gateway.routing.rows import (
    AUTH,
    BAD,
    BILLING,
    EMPTY,
    HTML,
    LENGTH,
    LIMIT,
    MODEL,
    NOT_PERMITTED,
    OVERLOAD,
    POLICY,
    QUOTA,
    SAYS_BUSY,
    SAYS_NO_ACCESS,
    SAYS_PER_DAY,
    SAYS_TOO_LARGE,
    SERVER,
    TIMEOUT,
    TOO_LARGE,
    WINDOW,
    Row,
    Table,
    row,
)
from gateway.wire.adapting import Foreign

_MONEY = (
    r"insufficient[ _](account )?(balance|credit|fund)|credit balance|out of credits|no credits"
    r"|arrearage|欠费|spend(ing)? limit|available credits"
)
_OWN_MONEY = r"^(insufficient (account )?(balance|credit|fund)|out of credits|arrearage|.{0,8}欠费)"
_SLOWER = (
    r"^(too many requests|rate limit (is |was )?(exceeded|reached)|you have been rate limited"
    r"|(request )?rate increased too quickly)"
)
_TOO_LONG = (
    r"maximum context length|prompt is too long|exceeds? (the )?context (limit|window)"
    r"|input is too long|too many input tokens|exceeds the available context size"
    r"|exceeds the maximum number of tokens allowed|longer than the (model's|maximum model) "
    r"?(context )?length|current length is .{0,60}while limit is|maximum input length is"
    r"|maximum prompt length is|range of input length should be|prompt 超长|request size .{0,40}exceeds"
)
_UNSAFE = (
    r"content_policy_violation|responsibleaipolicyviolation|content management policy"
    r"|content filtering policy|safety system"
)
_NO_MODEL = (
    r"\bmodels?\b.{0,200}(not found|n.t exist|not exist|unknown|not available|no longer|not support"
    r"|deprecated|retired|decommissioned|have access)|(unknown|invalid|no such) model|^model:"
    r"|not found.{0,20}\bmodel\b|no endpoints found"
)

COMMON: Table = (
    row(LENGTH, "exceed_context_size_error", "model_context_window_exceeded"),
    row(MODEL, "model_not_supported", "unsupported_model", reason="unsupported_model"),
    row(POLICY, "moderation_blocked"),
    # A CDN's or a wrong base URL's page says nothing about the key or the model.
    row(Failure.UNKNOWN, HTML, status=(403, 404), reason="html_page"),
    row(Failure.UNKNOWN, EMPTY, status=404, reason="empty_answer"),
    row(SERVER, HTML, status=503, reason="html_page"),
    row(BAD, status=429, says=SAYS_TOO_LARGE, reason=TOO_LARGE),
    row(QUOTA, status=(403, 429), says=_MONEY, reason=BILLING),
    row(QUOTA, status=400, says=_OWN_MONEY, reason=BILLING),
    row(QUOTA, status=429, says=SAYS_PER_DAY, reason=WINDOW),
    row(LIMIT, status=(400, 403), says=_SLOWER),
    row(AUTH, status=403, says=SAYS_NO_ACCESS, reason=NOT_PERMITTED, scope=ONE_MODEL),
    row(OVERLOAD, status=429, says=SAYS_BUSY),
    row(LENGTH, status=(400, 413, 422), says=_TOO_LONG),
    row(POLICY, status=(400, 403), says=_UNSAFE),
    row(MODEL, status=404, says=_NO_MODEL),
)

VAGUE: Table = (
    row(BAD, "invalid_request_error", "badrequesterror", "bad_request", "invalid_request"),
    row(BAD, "bad_request_error", "invalid_argument", "validation_error", "unprocessable"),
)
"""Codes that say no more than a status does; asked last, and only where there is no status."""

STATUSES: Mapping[int, Row] = {
    **{s: row(BAD) for s in (400, 404, 405, 406, 411, 415, 422)},
    **{s: row(AUTH) for s in (401, 403)},
    **{s: row(SERVER, reason=TIMEOUT) for s in (408, 504, 524)},
    **{s: row(SERVER) for s in (409, 424, 499)},
    402: row(QUOTA, reason=BILLING),
    413: row(LENGTH),
    429: row(LIMIT),
    503: row(OVERLOAD),
    529: row(OVERLOAD),
}
"""What a status alone means. Not here: 2xx, other 5xx, and everything undocumented."""

FOREIGN: Mapping[Foreign, re.Pattern[str]] = {
    Foreign.THOUGHT_SIGNATURE: re.compile(r"thought_?signature", re.IGNORECASE),
    Foreign.THINKING: re.compile(
        r"signature|redacted_thinking|thinking`? blocks?|thinking.{0,60}\bsigned|thinking_blocks"
        r"|encrypted[ _]content|reasoning_(content|details)"
        r"|'reasoning'|\brs_\w+",
        re.IGNORECASE,
    ),
    Foreign.TOOL_IDS: re.compile(
        r"\btool[ _]?(use|calls?|results?)?(\[\d+\])?[ _.]?ids?\b|tool_calls?\b.{0,20}\bid\b"
        r"|\bcall_id\b|\binput\[\d+\]\.id\b",
        re.IGNORECASE,
    ),
}
"""Sentences of a bad request that blame what another provider left in the history, first one first.
A prompt that is echoed may hold such words too: then nothing is found to adapt, or one attempt more
is made for that client's own request."""


DIALECTS: Mapping[str, Table] = {"anthropic": ANTHROPIC, "gemini": GOOGLE, "code_assist": GOOGLE}
"""Whoever speaks a maker's dialect uses its words too."""

VENDORS: Mapping[str, Table] = {
    "anthropic": ANTHROPIC,
    "azure": AZURE,
    "bedrock": BEDROCK,
    "cerebras": CEREBRAS,
    "code_assist": GOOGLE,
    "cohere": COHERE,
    "dashscope": DASHSCOPE,
    "fireworks": FIREWORKS,
    "gemini": GOOGLE,
    "github": GITHUB,
    "glm": GLM,
    "groq": GROQ,
    "mistral": MISTRAL,
    "moonshot": MOONSHOT,
    "openai": OPENAI,
    "openrouter": OPENROUTER,
    "together": TOGETHER,
    "vertex": GOOGLE,
    "xai": XAI,
}
"""By vendor, as `vendors` finds it. Others are judged by the common tables alone."""

EVERYBODY: tuple[Table, ...] = (OPENAI, ANTHROPIC, COMMON)
"""Asked of all: most servers borrow OpenAI's vocabulary, and gateways hand on Anthropic's."""


def tables(vendor: str, dialect: str) -> tuple[Table, ...]:
    """The tables for a vendor, most specific first; everybody's vocabulary comes last."""
    own = [table for table in (VENDORS.get(vendor), DIALECTS.get(dialect)) if table is not None]
    return (*own, *EVERYBODY)
