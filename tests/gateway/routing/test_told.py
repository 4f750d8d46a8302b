"""Which words of an error body are taken for its codes, its sentence and its status."""

from __future__ import annotations

from gateway.routing import rows
from gateway.routing.told import OBJECTS_MAX, error_objects, read, read_plain


def test_the_most_specific_code_comes_first() -> None:
    body = {
        "type": "error",
        "error": {
            "type": "rate_limit_error",
            "message": "m",
            "details": {"error_code": "ramp_limit_exceeded"},
        },
    }
    told = read(body, {"x-amzn-errortype": "Other:http://x"})
    assert told.codes == ("ramp_limit_exceeded", "rate_limit_error", "Other")
    assert (told.message, told.own_code) == ("m", "ramp_limit_exceeded")


def test_a_number_is_a_status_or_a_code_by_its_size() -> None:
    assert read({"error": {"code": 429}}, {}).status == 429
    assert read({"error": {"code": "503", "message": "m"}}, {}).codes == ()
    assert read({"error": {"code": "1302"}}, {}).codes == ("1302",)
    assert read({"error": {"code": True}}, {}).status is None


def test_a_provider_cannot_forge_a_mark() -> None:
    assert read({"error": {"code": rows.PER_DAY}}, {}).codes == ()
    assert read_plain("x", {"x-amzn-errortype": rows.HTML}, whole=True).codes == ()


def test_the_sentence_is_found_in_every_shape() -> None:
    for body in (
        {"error": {"message": "m"}},
        {"error": "m"},
        {"message": "m"},
        {"detail": [{"msg": "m"}]},
        {"detail": "m"},
        {"code": "c", "error": "m"},
        {"status": 429, "title": "m"},
        [{"error": {"message": "m"}}],
        {"response": {"error": {"message": "m"}}},
        "m",
    ):
        assert read(body, {}).message == "m"


def test_a_long_list_of_details_is_not_read_to_its_end() -> None:
    assert len(error_objects({"error": {"details": [{}] * 10_000}})) <= OBJECTS_MAX + 2


def test_a_page_or_a_cut_text_is_not_shown() -> None:
    assert read_plain("<html>x", {}, whole=True).codes == (rows.HTML,)
    assert read_plain("x", {"content-type": "text/html"}, whole=True).message == ""
    assert read_plain("x", {}, whole=False).message == ""
    assert read_plain(" ", {}, whole=True).codes == (rows.EMPTY,)
    assert read_plain(" slow down ", {}, whole=True).message == "slow down"
