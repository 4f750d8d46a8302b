"""What providers' errors mean, as tables: one row says "these codes or words are that failure".

To teach the gateway a new error add a row here and its case to `tests/gateway/routing/cases.json`;
no code changes. Rows with codes are asked before rows without, for the provider's most specific
code first; within a table the first row that holds wins. Facts: the provider-errors reference.

Words of a 400 that blame a key must be anchored (`^`): validation errors echo prompts, and no
client may park a key by writing "insufficient balance" into one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.events import Failure, Scope
from gateway.wire.adapting import Foreign

LIMIT = Failure.RATE_LIMITED
QUOTA = Failure.QUOTA_EXHAUSTED
AUTH = Failure.AUTH
OVERLOAD = Failure.OVERLOADED
SERVER = Failure.SERVER_ERROR
MODEL = Failure.MODEL_NOT_FOUND
UNSUPPORTED = Failure.UNSUPPORTED
BAD = Failure.BAD_REQUEST
LENGTH = Failure.CONTEXT_TOO_LONG
POLICY = Failure.CONTENT_POLICY

TIMEOUT = "upstream_timeout"
WINDOW = "quota_window"
BILLING = "billing"
BALANCE = "credit_balance"
TIER = "not_on_this_tier"
TOO_LARGE = "too_large_for_limit"
"""One request above the whole window: no key rests for it, and the same request never fits."""

# Marks are codes that no provider wrote: what `classify` saw in the shape of an answer.
PER_DAY = "~per_day"
"""A Google violation names a daily quota."""
PER_MINUTE = "~per_minute"
BEHIND = "~provider_behind"
"""OpenRouter names the provider behind it that refused."""
MODERATED = "~moderated"
HTML = "~html"
EMPTY = "~empty"


@dataclass(frozen=True, slots=True)
class Row:
    """All conditions given must hold; a missing one always does."""

    failure: Failure
    codes: frozenset[str] = frozenset()
    """Lower-case, any of them."""
    prefixes: tuple[str, ...] = ()
    status: frozenset[int] = frozenset()
    says: re.Pattern[str] | None = None
    """Found in the provider's sentence."""
    reason: str = ""
    """Instead of the provider's code."""
    scope: Scope | None = None
    """What rests, where an operator's rule says it."""

    @property
    def by_code(self) -> bool:
        return bool(self.codes or self.prefixes)

    def names(self, code: str) -> bool:
        return code in self.codes or code.startswith(self.prefixes)

    def holds(self, status: int | None, message: str) -> bool:
        """A status of None (an error inside a 200 that names none) meets every condition."""
        if self.status and status is not None and status not in self.status:
            return False
        return self.says is None or self.says.search(message) is not None


Table = tuple[Row, ...]


def row(
    failure: Failure,
    *codes: str,
    status: int | tuple[int, ...] = (),
    says: str = "",
    reason: str = "",
) -> Row:
    """A `Row` as it is written here; a code that ends in `*` is a prefix."""
    return Row(
        failure=failure,
        codes=frozenset(c for c in codes if not c.endswith("*")),
        prefixes=tuple(c[:-1] for c in codes if c.endswith("*")),
        status=frozenset((status,) if isinstance(status, int) else status),
        says=re.compile(says, re.IGNORECASE) if says else None,
        reason=reason,
    )


_PER_DAY = r"per (day|week|month)|\b[rt]pd\b|(daily|weekly|monthly) (\w+ ){0,2}(limit|quota)"
_MONEY = (
    r"insufficient[ _](account )?(balance|credit|fund)|credit balance|out of credits|no credits"
    r"|arrearage|欠费|spend(ing)? limit|available credits"
)
_BUSY = (
    r"overloaded|no capacity|exhausted your capacity|capacity exceeded|at capacity"
    r"|(experiencing )?high (traffic|demand)"
)
_TOO_LARGE = r"request too large|too large for model"
_TOO_LONG = (
    r"maximum context length|prompt is too long|exceeds? (the )?context (limit|window)"
    r"|input is too long|too many input tokens|exceeds the available context size"
    r"|exceeds the maximum number of tokens allowed|longer than the (model's|maximum model) "
    r"?(context )?length|current length is .{0,60}while limit is|maximum input length is"
    r"|range of input length should be|prompt 超长|request size .{0,40}exceeds"
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

OPENAI: Table = (
    row(BAD, "rate_limit_exceeded", "tokens", says=_TOO_LARGE, reason=TOO_LARGE),
    row(QUOTA, "rate_limit_exceeded", "tokens", "requests", says=_PER_DAY, reason=WINDOW),
    row(LIMIT, "rate_limit_exceeded", "slow_down", "rate_limited"),
    row(LIMIT, "tokens", "requests", status=429),
    row(QUOTA, "insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"),
    row(QUOTA, "organization_usage_limit_exceeded", "organization_spend_limit_exceeded"),
    row(QUOTA, "project_spend_limit_exceeded", "billing_not_active"),
    row(QUOTA, "usage_limit_reached", "usage_not_included"),  # The Codex backend.
    row(OVERLOAD, "server_is_overloaded", "service_unavailable_error"),
    row(UNSUPPORTED, "unsupported_country_region_territory"),
    row(AUTH, "invalid_api_key", "account_deactivated", "ip_not_authorized", "token_expired"),
    row(MODEL, "model_not_found", "deploymentnotfound"),
    row(LENGTH, "context_length_exceeded"),
    row(POLICY, "content_policy_violation", "content_filter", "responsibleaipolicyviolation"),
    row(POLICY, "invalid_prompt", "bio_policy", "misalignment_policy_violation"),
    row(POLICY, "image_content_policy_violation"),
    row(BAD, "invalid_encrypted_content", "string_above_max_length", "data_residency_mismatch"),
    row(BAD, "invalid_image*", "image_*", "failed_to_download_image"),
    row(SERVER, "vector_store_timeout", reason=TIMEOUT),
)

_OWN_BALANCE = r"^(your )?credit balance"
_OWN_LIMIT = (
    r"^you have reached your (specified )?(api |workspace )?(usage|spend)"
    r"|^this (organization|workspace) .{0,40}(usage|spend) limits?"
)

ANTHROPIC: Table = (
    row(LIMIT, "ramp_limit_exceeded"),
    row(QUOTA, "enforced_spend_limit_reached", "contract_spend_limit_reached"),
    row(QUOTA, "billing_error", "linked_organization_*"),
    row(AUTH, "organization_on_hold", "claude_code_key_creator_not_member"),
    row(AUTH, "cmek_key_disabled", "cmek_key_network_blocked"),
    row(AUTH, "sandbox_egress_restricted", "api_key_scope_missing", "user_profile_*"),
    row(BAD, "claude_code_version_too_old", "request_body_encoding_*"),
    row(LENGTH, "request_too_large", "request_body_too_large_after_decoding"),
    row(SERVER, "cmek_context_unavailable", "cmek_key_unreachable", "conflict_error"),
    row(SERVER, "timeout_error", reason=TIMEOUT),
    row(OVERLOAD, "overloaded_error", "compaction_unavailable"),
    row(AUTH, "authentication_error"),
    row(AUTH, "permission_error", status=(401, 403)),
    row(MODEL, "not_found_error", status=404),
    row(LIMIT, "rate_limit_error", status=(429, 503, 529)),
    row(QUOTA, status=(400, 403, 429), says=_OWN_BALANCE, reason=BALANCE),
    row(QUOTA, status=(400, 403, 429), says=_OWN_LIMIT, reason=BILLING),
)

GOOGLE: Table = (
    # A limit of 0 is a model that this tier does not have; waiting never helps.
    row(MODEL, PER_DAY, PER_MINUTE, "resource_exhausted", says=r"limit: 0(?![.0-9])", reason=TIER),
    row(QUOTA, PER_DAY, reason="quota_per_day"),
    row(QUOTA, "quota_exhausted", "insufficient_g1_credits_balance"),
    row(OVERLOAD, "model_capacity_exhausted", "model_capacity_exceeded"),
    row(OVERLOAD, "resource_exhausted", says=r"^resource exhausted[.,] please try again later"),
    row(OVERLOAD, "resource_exhausted", says=_BUSY),
    row(LIMIT, "resource_exhausted", status=429),
    row(QUOTA, "resource_exhausted", "payment_required", status=402),
    row(UNSUPPORTED, "failed_precondition", says=r"location is not supported"),
    row(AUTH, "api_key_invalid", "unauthenticated", "permission_denied", "failed_precondition"),
    row(AUTH, "validation_required", "security_policy_violated", "unsupported_client"),
    row(MODEL, "not_found", status=404),
    row(OVERLOAD, "unavailable", status=503),
    row(SERVER, "deadline_exceeded", reason=TIMEOUT),
    row(AUTH, status=400, says=r"^api key (not valid|expired|not found)"),
)

AZURE: Table = (
    row(OVERLOAD, status=429, says=r"provisioned"),
    row(AUTH, status=403, says=r"temporarily blocked"),
)
BEDROCK: Table = (
    row(QUOTA, "throttlingexception", says=_PER_DAY, reason=WINDOW),
    row(LIMIT, "throttlingexception"),
    row(QUOTA, "servicequotaexceededexception"),
    row(OVERLOAD, "modelnotreadyexception", "serviceunavailableexception"),
    row(SERVER, "modeltimeoutexception", reason=TIMEOUT),
    row(SERVER, "modelerrorexception", "modelstreamerrorexception", "internalserverexception"),
    row(AUTH, "accessdeniedexception", "expiredtokenexception", "unrecognizedclientexception"),
    row(MODEL, "resourcenotfoundexception", "ftuformnotfilled"),
)
CEREBRAS: Table = (
    row(OVERLOAD, "queue_exceeded", "too_many_requests_error", says=_BUSY),
    row(QUOTA, "token_quota_*", "request_quota_*", says=_PER_DAY, reason=WINDOW),
    row(LIMIT, "token_quota_*", "request_quota_*"),
)
COHERE: Table = (
    row(AUTH, status=498, reason="invalid_token"),
    row(LENGTH, status=400, says=r"too many tokens"),
)
DASHSCOPE: Table = (
    row(QUOTA, "allocationquota.freetieronly"),
    row(QUOTA, "throttling*", "insufficient_quota", says=r"free allocated quota", reason=WINDOW),
    # Here the next two are limits of tokens a minute, not of money.
    row(LIMIT, "throttling*", "insufficient_quota", "limit_requests", "limit_burst_rate"),
    row(QUOTA, "arrearage"),
    row(AUTH, "invalidapikey", "accessdenied*"),
    row(MODEL, "modelnotfound"),
    row(POLICY, "datainspectionfailed", "data_inspection_failed"),
)
FIREWORKS: Table = (
    row(SERVER, status=412, says=r"lora"),
    row(AUTH, status=412, reason="account_suspended"),
)
GLM: Table = (
    row(LIMIT, "1302", "1303", "1305"),
    row(QUOTA, "1113", "1304", "1308", "1309", "1310"),
    row(OVERLOAD, "1312"),
    row(AUTH, "1000", "1001", "1002", "1003", "1004", "110*", "111*", "1120"),
    row(AUTH, "1121", "1220", "1311", "1313"),
    row(MODEL, "1211"),
    row(LENGTH, "1261"),
    row(POLICY, "1301"),
)
GROQ: Table = (row(OVERLOAD, status=498, reason="capacity_exceeded"),)
MISTRAL: Table = (
    row(OVERLOAD, "3505", "service_tier_capacity_exceeded"),
    row(OVERLOAD, "rate_limit_error", says=r"service tier capacity exceeded"),
    row(MODEL, "unknown_model"),
)
MOONSHOT: Table = (
    row(QUOTA, "exceeded_current_quota_error"),
    row(OVERLOAD, "engine_overloaded_error"),
    row(OVERLOAD, "rate_limit_reached_error", says=_BUSY),
    row(LIMIT, "rate_limit_reached_error"),
    row(AUTH, "invalid_authentication_error"),
    row(QUOTA, status=(403, 429), says=r"billing.cycle|period limit|usage limit", reason=WINDOW),
)
OPENROUTER: Table = (
    row(LIMIT, "openrouter_in_flight_budget", "in_flight_budget_exhausted"),
    row(BAD, "openrouter_credits", "weight_exceeds_budget", status=402, reason=TOO_LARGE),
    row(QUOTA, "openrouter_guardrail_budget", "openrouter_workspace_budget"),
    row(QUOTA, "openrouter_key_limit"),
    row(POLICY, MODERATED, "refusal", status=403, reason="moderation"),
    row(OVERLOAD, BEHIND, status=429, reason="provider_rate_limited"),
    row(AUTH, "authentication", "permission_denied"),
    row(LENGTH, "max_tokens_exceeded", "token_limit_exceeded", "payload_too_large"),
    row(OVERLOAD, "provider_overloaded"),
    row(SERVER, "provider_unavailable"),
    row(QUOTA, "payment_required"),
    row(UNSUPPORTED, status=404, says=r"no endpoints found that support"),
    row(QUOTA, status=403, says=r"^key limit exceeded", reason=BILLING),
)
TOGETHER: Table = (row(LENGTH, status=403),)  # Their 403 is input + max_tokens above the window.
XAI: Table = (
    row(AUTH, status=400, says=r"^incorrect api key"),
    row(AUTH, status=403, says=r"\bteam\b.{0,80}blocked"),
)

COMMON: Table = (
    row(LENGTH, "exceed_context_size_error", "model_context_window_exceeded"),
    row(MODEL, "model_not_supported", "unsupported_model", reason="unsupported_model"),
    row(POLICY, "moderation_blocked"),
    # A CDN's or a wrong base URL's page says nothing about the key or the model.
    row(Failure.UNKNOWN, HTML, status=(403, 404), reason="html_page"),
    row(Failure.UNKNOWN, EMPTY, status=404, reason="empty_answer"),
    row(SERVER, HTML, status=503, reason="html_page"),
    row(BAD, status=429, says=_TOO_LARGE, reason=TOO_LARGE),
    row(QUOTA, status=(403, 429), says=_MONEY, reason=BILLING),
    row(QUOTA, status=429, says=_PER_DAY, reason=WINDOW),
    row(OVERLOAD, status=429, says=_BUSY),
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
        r"|encrypted[ _]content|reasoning_(content|details)",
        re.IGNORECASE,
    ),
    Foreign.TOOL_IDS: re.compile(
        r"\btool[ _]?(use|calls?|results?)?(\[\d+\])?[ _.]?ids?\b|tool_calls?\b.{0,20}\bid\b"
        r"|\bcall_id\b",
        re.IGNORECASE,
    ),
}
"""Sentences of a bad request that blame what another provider left in the history, first one first.
A prompt that is echoed may hold such words too: then nothing is found to adapt, or one attempt more
is made for that client's own request."""

DIALECTS: Mapping[str, Table] = {"anthropic": ANTHROPIC, "gemini": GOOGLE, "code_assist": GOOGLE}

FAMILIES: Mapping[str, Table] = {
    "alibaba": DASHSCOPE,
    "anthropic": ANTHROPIC,
    "antigravity": GOOGLE,
    "azure": AZURE,
    "bedrock": BEDROCK,
    "cerebras": CEREBRAS,
    "cohere": COHERE,
    "dashscope": DASHSCOPE,
    "fireworks": FIREWORKS,
    "gemini": GOOGLE,
    "glm": GLM,
    "google": GOOGLE,
    "groq": GROQ,
    "kimi": MOONSHOT,
    "mistral": MISTRAL,
    "moonshot": MOONSHOT,
    "openrouter": OPENROUTER,
    "qwen": DASHSCOPE,
    "together": TOGETHER,
    "vertex": GOOGLE,
    "xai": XAI,
    "zai": GLM,
    "zhipu": GLM,
}
"""By a word of the provider's configured name: `groq`, `groq-2` and `my_groq` are Groq."""


def tables(provider: str, dialect: str) -> tuple[Table, ...]:
    """The tables for a provider, most specific first; everybody's vocabulary comes last."""
    words = re.split(r"[^a-z0-9]+", provider.lower().replace("z.ai", "zai"))
    own = [FAMILIES[word] for word in words if word in FAMILIES][:1]
    own += [DIALECTS[dialect]] if dialect in DIALECTS else []
    return (*own, OPENAI, ANTHROPIC, COMMON)
