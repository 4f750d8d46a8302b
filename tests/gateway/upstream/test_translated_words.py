from __future__ import annotations

from gateway.upstream.translated_words import error_of, foreign_causes


class Told(Exception):
    body: object = None
    message: str = ""


def test_an_error_is_found_in_a_body_or_in_a_sentence() -> None:
    whole = Told()
    whole.body = {"message": "No."}
    assert error_of(whole) == {"error": {"message": "No."}}
    said = Told('litellm.APIError: XException - {"error": {"message": "No."}} and more')
    assert error_of(said) == {"error": {"message": "No."}}
    assert error_of(Told("nothing in {braces}")) is None


def test_the_chain_of_causes_is_bounded() -> None:
    first = Told("0")
    last: BaseException = first
    for n in range(20):
        last.__cause__ = Told(str(n))
        last = last.__cause__
    assert len(list(foreign_causes(first))) == 10
