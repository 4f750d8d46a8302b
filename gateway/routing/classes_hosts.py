"""Error tables of those who serve models, many makers' or their own, mostly in OpenAI's dialect.

Facts: the provider-errors reference, sections 4.8 and 4.9. Who is missing here says nothing that
the common tables do not know: DeepSeek, NVIDIA NIM, Ollama, vLLM. Data only.
"""

from __future__ import annotations

from gateway.routing.classes_labs import ONE_MODEL
from gateway.routing.rows import (
    AUTH,
    BAD,
    BEHIND,
    BILLING,
    LENGTH,
    LIMIT,
    MODEL,
    MODERATED,
    NOT_PERMITTED,
    OVERLOAD,
    POLICY,
    QUOTA,
    SAYS_BUSY,
    SAYS_PER_DAY,
    SERVER,
    TIMEOUT,
    TOO_LARGE,
    UNSUPPORTED,
    WINDOW,
    Table,
    row,
)

CEREBRAS: Table = (
    row(OVERLOAD, "queue_exceeded", "too_many_requests_error", says=SAYS_BUSY),
    row(QUOTA, "token_quota_*", "request_quota_*", says=SAYS_PER_DAY, reason=WINDOW),
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
GITHUB: Table = (
    # Limits of days are each model's own here, but for the premium requests of a plan.
    row(QUOTA, "rate_limited", "ratelimitreached", says=r"premium request", reason=WINDOW),
    row(QUOTA, "quota_exceeded", reason=WINDOW),
    row(
        QUOTA,
        "rate_limited",
        "ratelimitreached",
        says=rf"{SAYS_PER_DAY}|by_?day\b",
        reason=WINDOW,
        scope=ONE_MODEL,
    ),
    row(LIMIT, "ratelimitreached"),
)
GLM: Table = (
    row(LIMIT, "1302", "1303", "1305"),
    row(QUOTA, "1113", "1304", "1308", "1309", "1310"),
    row(OVERLOAD, "1312"),
    row(AUTH, "1000", "1001", "1002", "1003", "1004", "110*", "111*", "1120"),
    row(AUTH, "1121", "1313"),
    row(AUTH, "1220", "1311", reason=NOT_PERMITTED, scope=ONE_MODEL),
    row(MODEL, "1211"),
    row(LENGTH, "1261"),
    row(POLICY, "1301"),
)
GROQ: Table = (row(OVERLOAD, status=498, reason="capacity_exceeded"),)
MISTRAL: Table = (  # Its keys of one workspace share all limits.
    row(OVERLOAD, "3505", "service_tier_capacity_exceeded"),
    row(OVERLOAD, "rate_limit_error", says=r"service tier capacity exceeded"),
    row(MODEL, "unknown_model"),
)
MOONSHOT: Table = (
    row(QUOTA, "exceeded_current_quota_error"),
    row(OVERLOAD, "engine_overloaded_error"),
    row(OVERLOAD, "rate_limit_reached_error", says=SAYS_BUSY),
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
    row(SERVER, "server"),
    row(SERVER, "timeout", reason=TIMEOUT),
    row(BAD, "string_too_long", "precondition_failed"),
    row(QUOTA, "payment_required"),
    row(UNSUPPORTED, status=404, says=r"no endpoints found that support"),
    row(QUOTA, status=403, says=r"^key limit exceeded", reason=BILLING),
)
TOGETHER: Table = (row(LENGTH, status=403),)  # Their 403 is input + max_tokens above the window.
XAI: Table = (
    row(AUTH, status=400, says=r"^incorrect api key"),
    row(AUTH, status=403, says=r"\bteam\b.{0,80}blocked"),
)
