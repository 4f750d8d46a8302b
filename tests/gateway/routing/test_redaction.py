"""What is taken out of a provider's words, and what stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.redaction import MASK, redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Incorrect API key provided: sk-proj-AbCd1234.", "Incorrect API key provided: ***."),
        ("Incorrect key sk-ab****************wxyz.", "Incorrect key ***."),
        ("Authorization: Bearer abc.def-123 refused", "Authorization: Bearer *** refused"),
        ("https://x.test/v1?key=AIzaSyB123&alt=sse", "https://x.test/v1?key=***&alt=sse"),
        ("api_key='hunter2'", "api_key=***'"),
        ("API key AIzaSyB-12_x not valid", "API key *** not valid"),
        ("your api key: ****wxyz is invalid", "your api key: *** is invalid"),
        ("the token 0123456789abcdef0123456789abcdef is old", "the token *** is old"),
        ("in organization org-abc123DEF on requests", "in organization *** on requests"),
        ("in org-xxxx", "in ***"),
        ("project proj_AbC123 has none", "project *** has none"),
        ("Consumer 'project_number:123456789'", "Consumer 'project_number:***'"),
        ("projects/123456789/locations", "projects/***/locations"),
        ("team 01234567-89ab-cdef-0123-456789abcdef", "team ***"),
        ("arn:aws:iam::123456789012:user/me is denied", "*** is denied"),
        ("write to jane.doe+x@mail.example.com.", "write to ***."),
        ("one\r\n\ttwo\x00three\u202e\ud800", "one two three"),
    ],
)
def test_keys_accounts_and_addresses_are_masked(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "The model `meta-llama/Llama-3.3-70B-Instruct-Turbo-Free-32k-long` does not exist.",
        "Invalid bearer token",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "request req_011CQabcdef0123456789abcdef01234567 failed",
        "user_profile_required",
        "an org-level limit on risk-adjusted tasks",
        "Unrecognized key: max_completion_tokens",
    ],
)
def test_what_explains_a_failure_stays(text: str) -> None:
    assert redact(text) == text


def test_given_secrets_are_removed_whatever_they_look_like() -> None:
    assert redact("plain horse and pw", "horse", "pw", "") == "plain *** and ***"


@given(
    st.text(), st.text(st.characters(categories=("L", "N")), min_size=6), st.text(), st.booleans()
)
def test_no_secret_survives(before: str, secret: str, after: str, twice: bool) -> None:
    middle = f"{secret}{secret}" if twice else secret
    assert secret not in redact(f"{before}{middle}{after}", secret).replace(MASK, " ")


@pytest.mark.parametrize("piece", ["a", "sk-", "key ", "key=", "a@", "a.", "*", "org-", "eyJ", "-"])
def test_a_hostile_text_of_any_length_comes_to_an_end(piece: str) -> None:
    # A pattern that went back over what it had read would need hours for this.
    found = redact(piece * (262_144 // len(piece)))
    assert redact(found) == found
