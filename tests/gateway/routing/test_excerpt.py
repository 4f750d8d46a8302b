"""What is kept of an answer that no rule knows."""

from __future__ import annotations

from gateway.routing.excerpt import CUT_MAX, EXCERPT_MAX, LOOKED_AT_MAX, excerpt_of

SECRET = "q7Zt9LmX2cVb4NsW"


def test_it_is_one_short_line_without_secrets() -> None:
    assert (
        excerpt_of(f'{{"a":\n  "{SECRET}", "b": "sk-abc"}}', SECRET) == '{"a": "***", "b": "***"}'
    )
    assert len(excerpt_of("word " * 10_000)) == EXCERPT_MAX


def test_of_a_page_only_the_words_are_kept() -> None:
    page = "<!DOCTYPE html><style>b {x}</style><title>Just a moment</title><p class=a>Wait</p>"
    assert excerpt_of(page) == "Just a moment Wait"


def test_half_a_secret_at_the_cut_is_not_shown() -> None:
    # Redaction shrinks what stands before it, so that the cut moves into what is shown.
    masked = "sk-" + "a" * (LOOKED_AT_MAX - 12)
    text = f"{masked} {SECRET}"
    assert len(text) > LOOKED_AT_MAX
    assert SECRET[:4] not in excerpt_of(text, SECRET)
    assert CUT_MAX > EXCERPT_MAX


def test_an_unclosed_tag_of_any_length_comes_to_an_end() -> None:
    for piece in ("<", "<script", "<a ", "< >", "<script>"):
        assert len(excerpt_of(piece * 200_000)) <= EXCERPT_MAX
