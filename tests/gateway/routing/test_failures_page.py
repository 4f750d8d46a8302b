"""docs/failures.md shows the tables as they are; run this file to write them anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.routing import vendors
from gateway.routing.classes import COMMON, STATUSES, VAGUE, VENDORS
from gateway.routing.classify import SCOPES
from gateway.routing.rows import Row, Table

PAGE = Path(__file__).parents[3] / "docs" / "failures.md"
NAMES = {
    "openai": "OpenAI (asked for everybody)",
    "anthropic": "Anthropic (asked for everybody)",
    "gemini": "Gemini, Vertex, Code Assist",
}
SAME = {"vertex", "code_assist"}


def shown(row: Row) -> str:
    conditions = []
    if row.by_code:
        codes = [*sorted(row.codes), *(f"{prefix}*" for prefix in sorted(row.prefixes))]
        conditions.append(", ".join(f"`{code}`" for code in codes))
    if row.status:
        conditions.append("status " + ", ".join(map(str, sorted(row.status))))
    if row.says is not None:
        pattern = row.says.pattern.replace("|", r"\|")
        conditions.append(f"says `{pattern}`")
    scope = f", rests the `{row.scope}`" if row.scope not in (None, SCOPES[row.failure]) else ""
    reason = f", told as `{row.reason}`" if row.reason else ""
    return f"| {' and '.join(conditions)} | `{row.failure}`{scope}{reason} |"


def table(title: str, rows: Table) -> Iterator[str]:
    yield from ("", f"### {title}", "", "| answer | class |", "| --- | --- |")
    yield from map(shown, rows)


def tables() -> Iterator[str]:
    for vendor in sorted(VENDORS, key=lambda each: (each not in NAMES, each)):
        if vendor not in SAME:
            yield from table(NAMES.get(vendor, vendor), VENDORS[vendor])
    yield from table("Common", COMMON)
    yield from table("Asked last, of an error inside a 200", VAGUE)


def statuses() -> Iterator[str]:
    yield from ("| status | class |", "| --- | --- |")
    found: dict[Row, list[int]] = {}
    for status, row in STATUSES.items():
        found.setdefault(row, []).append(status)
    for row, codes in sorted(found.items(), key=lambda each: min(each[1])):
        reason = f", told as `{row.reason}`" if row.reason else ""
        yield f"| {', '.join(map(str, sorted(codes)))} | `{row.failure}`{reason} |"
    yield "| other 5xx | `server_error` |"
    yield "| all others | `unknown` |"


def who() -> Iterator[str]:
    yield from ("| vendor | hosts | words of a name | prefixes |", "| --- | --- | --- | --- |")
    for vendor in sorted(vendors.VENDORS):
        cells = [
            ", ".join(f"`{key}`" for key, found in sorted(known.items()) if found == vendor)
            for known in (vendors.HOSTS, vendors.WORDS, vendors.PREFIXES)
        ]
        yield f"| `{vendor}` | {' | '.join(cells)} |"


PARTS = {"vendors": who, "statuses": statuses, "tables": tables}


def with_part(text: str, part: str) -> str:
    begin, end = f"<!-- {part} -->\n", f"<!-- /{part} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    body = "\n".join(PARTS[part]()).strip()
    return f"{before}{begin}\n{body}\n\n{end}{after}"


@pytest.mark.parametrize("part", PARTS)
def test_the_page_shows_what_the_code_does(part: str) -> None:
    text = PAGE.read_text("utf-8")
    assert with_part(text, part) == text, f"run python -m {__name__}"


def test_every_table_is_shown() -> None:
    text = PAGE.read_text("utf-8")
    for vendor in set(VENDORS) - SAME:
        assert f"### {NAMES.get(vendor, vendor)}\n" in text


if __name__ == "__main__":
    written = PAGE.read_text("utf-8")
    for each in PARTS:
        written = with_part(written, each)
    PAGE.write_text(written, "utf-8")
