"""A refresh token's file: what is read from it, and that it is replaced whole and for its owner only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.units import Secret
from gateway.upstream.token_file import BYTES_MAX, TokenFile


@pytest.mark.parametrize(
    "text",
    ["token-1", "token-1\n", '{"refresh_token": "token-1"}', '{"refresh_token": " token-1 "}'],
)
def test_plain_text_and_json_are_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    assert TokenFile(path).read() == Secret("token-1")


@pytest.mark.parametrize(
    "text",
    ["", "two words", "{}", '{"refresh_token": 7}', '{"refresh_token": ""}', "x" * BYTES_MAX],
)
def test_a_file_without_a_token_is_told_from_one_that_is_missing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    with pytest.raises(OSError, match="No such file"):
        TokenFile(path).read()
    path.write_text(text + ("x" * len(text) if len(text) == BYTES_MAX else ""))
    with pytest.raises(ValueError, match=r"no refresh token|too large"):
        TokenFile(path).read()


def test_other_fields_stay_and_the_old_access_token_goes(tmp_path: Path) -> None:
    path = tmp_path / "token.json"
    path.write_text(json.dumps({"refresh_token": "a", "access_token": "x", "scope": "s"}))
    path.chmod(0o644)
    TokenFile(path).write(Secret("b"))
    assert json.loads(path.read_text()) == {"refresh_token": "b", "scope": "s"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["token.json"]


def test_a_link_still_leads_to_the_file(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("a")
    link.symlink_to(real)
    TokenFile(link).write(Secret("b"))
    assert link.is_symlink()
    assert TokenFile(real).read() == Secret("b")


def test_a_file_that_vanished_is_not_made_up(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        TokenFile(tmp_path / "token").write(Secret("b"))
    assert list(tmp_path.iterdir()) == []
