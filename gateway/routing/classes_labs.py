"""Error tables of those who make models: OpenAI and Azure, Anthropic, Google, Amazon.

Facts: the provider-errors reference, sections 4.1 to 4.7. Data only; `classes` says who is asked
when, and docs/failures.md shows all rows.
"""

from __future__ import annotations

from gateway.events import Scope
from gateway.routing.rows import (
    AUTH,
    BAD,
    BALANCE,
    BILLING,
    LENGTH,
    LIMIT,
    MODEL,
    NOT_PERMITTED,
    OVERLOAD,
    PER_DAY,
    PER_MINUTE,
    POLICY,
    QUOTA,
    SAYS_BUSY,
    SAYS_NO_ACCESS,
    SAYS_PER_DAY,
    SAYS_TOO_LARGE,
    SERVER,
    TIER,
    TIMEOUT,
    TOO_LARGE,
    UNSUPPORTED,
    WINDOW,
    WINDOW_USED,
    Table,
    row,
)

ONE_MODEL = Scope.CREDENTIAL_MODEL
"""Of a failure that would let a whole key rest, where it is about one model only."""

OPENAI: Table = (
    row(BAD, "rate_limit_exceeded", "tokens", says=SAYS_TOO_LARGE, reason=TOO_LARGE),
    row(QUOTA, "rate_limit_exceeded", "tokens", "requests", says=SAYS_PER_DAY, reason=WINDOW),
    row(LIMIT, "rate_limit_exceeded", "slow_down", "rate_limited"),
    row(LIMIT, "tokens", "requests", status=429),
    row(QUOTA, "insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"),
    row(QUOTA, "organization_usage_limit_exceeded", "organization_spend_limit_exceeded"),
    row(QUOTA, "project_spend_limit_exceeded", "billing_not_active"),
    row(QUOTA, "usage_limit_reached", "usage_not_included"),  # The Codex backend.
    row(OVERLOAD, "server_is_overloaded", "service_unavailable_error"),
    row(UNSUPPORTED, "unsupported_country_region_territory", scope=Scope.PROVIDER),
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
AZURE: Table = (
    row(OVERLOAD, status=429, says=r"provisioned"),
    row(AUTH, status=403, says=r"temporarily blocked"),
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
    row(
        AUTH,
        "permission_error",
        status=403,
        says=SAYS_NO_ACCESS,
        reason=NOT_PERMITTED,
        scope=ONE_MODEL,
    ),
    row(AUTH, "permission_error", status=(401, 403)),
    row(MODEL, "not_found_error", status=404),
    row(QUOTA, WINDOW_USED, status=429, reason=WINDOW),
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
    row(OVERLOAD, "resource_exhausted", says=SAYS_BUSY),
    row(LIMIT, "resource_exhausted", status=429),
    row(QUOTA, "resource_exhausted", "payment_required", status=402),
    row(
        UNSUPPORTED,
        "failed_precondition",
        says=r"location is not supported",
        scope=Scope.PROVIDER,
    ),
    row(AUTH, "api_key_invalid", "unauthenticated", "permission_denied", "failed_precondition"),
    row(AUTH, "validation_required", "security_policy_violated", "unsupported_client"),
    row(AUTH, "invalid_grant", "invalid_client", "unauthorized_client"),  # Of a token's refresh.
    row(MODEL, "not_found", status=404),
    row(OVERLOAD, "unavailable", status=503),
    row(SERVER, "deadline_exceeded", reason=TIMEOUT),
    row(AUTH, status=400, says=r"^api key (not valid|expired|not found)"),
)

_BEHIND_BEDROCK = ("modelerrorexception", "modelstreamerrorexception")
"""Bedrock hands a model's own failure on; `originalStatusCode` in it stands for the status."""

BEDROCK: Table = (
    row(QUOTA, "throttlingexception", says=SAYS_PER_DAY, reason=WINDOW),
    row(LIMIT, "throttlingexception"),
    row(QUOTA, "servicequotaexceededexception"),
    row(OVERLOAD, "modelnotreadyexception", "serviceunavailableexception"),
    row(SERVER, "modeltimeoutexception", reason=TIMEOUT),
    row(LIMIT, *_BEHIND_BEDROCK, status=429),
    row(OVERLOAD, *_BEHIND_BEDROCK, status=(503, 529)),
    row(SERVER, *_BEHIND_BEDROCK, status=(408, 504), reason=TIMEOUT),
    row(BAD, *_BEHIND_BEDROCK, status=(400, 422)),
    row(SERVER, *_BEHIND_BEDROCK, "internalserverexception"),
    row(
        AUTH,
        "accessdeniedexception",
        says=SAYS_NO_ACCESS,
        reason=NOT_PERMITTED,
        scope=ONE_MODEL,
    ),
    row(AUTH, "accessdeniedexception", "expiredtokenexception", "unrecognizedclientexception"),
    row(AUTH, "invalidsignatureexception", "missingauthenticationtokenexception"),
    row(MODEL, "resourcenotfoundexception", "ftuformnotfilled"),
)
