"""How a replay is told: what happened, the calibration, and the other configuration, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import click

from gateway.cli_output import clock_time, length, print_table
from gateway.replay.figures import Agreement, Decision, Figures, agreement, figures, happened
from gateway.replay.recorded import Recorded
from gateway.replay.stage import Replayed
from gateway.replay.weather import Known

COUNTS: Final = (
    ("requests", "requests"),
    ("served", "served"),
    ("rescued", "rescued"),
    ("failed", "failed"),
    ("cancelled", "hung up"),
    ("attempts", "attempts"),
    ("wasted_attempts", "wasted attempts"),
    ("switches", "switches"),
    ("returns", "returns"),
    ("reversals", "reversals"),
    ("flapping", "began to flap"),
    ("cooldowns", "cooldowns"),
)
LENGTHS: Final = (("added_seconds", "added wait"), ("added_max_seconds", "longest added wait"))
ASSUMPTIONS: Final = (
    "A request meets what it met then, where it goes to the same target and key again.",
    "Elsewhere it meets the weather that was last seen there; between observations weather is held, "
    "before the first one that one counts, and a reset that a provider stated ends its limit.",
    "Clients ask when they asked, whatever they are answered, and hang up when they hung up.",
    "What was drawn by chance is drawn as it was recorded, else from a fixed seed.",
    "Reloads and restarts of the gateway in that time are not played; acts of operators are.",
)
UNSEEN: Final[Mapping[str, str]] = {
    "good": "A target that nobody asked is unknown; it is taken to answer as well as whoever served.",
    "bad": "A target that nobody asked is unknown; it is taken to refuse.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    recorded: Recorded
    sides: Mapping[str, Figures]
    """`recorded`, `present`, and `other` if there was one."""
    runs: Mapping[str, Replayed]
    agreement: Agreement
    notes: tuple[str, ...]
    assumptions: tuple[str, ...]


def report(
    recorded: Recorded, runs: Mapping[str, Replayed], *, present: str, unseen: str
) -> Report:
    own = runs["present"].told
    really = happened(recorded, own.first)
    window = {"since": recorded.since, "until": recorded.until}
    sides = {"recorded": figures(really, **window)}
    sides |= {name: figures(run.told, **window) for name, run in runs.items()}
    return Report(
        recorded=recorded,
        sides=sides,
        runs=runs,
        agreement=agreement(really.decisions.values(), own.decisions),
        notes=tuple(_notes(recorded, runs, present)),
        assumptions=(*ASSUMPTIONS, UNSEEN[unseen]),
    )


def _notes(recorded: Recorded, runs: Mapping[str, Replayed], present: str) -> list[str]:
    notes: list[str] = []
    others = [each for each in recorded.config_versions if each != present]
    if others:
        names = ", ".join(others)
        notes.append(f"recorded under configuration {names}; the present one is {present}")
    if recorded.restarts > 1:
        notes.append(f"the gateway was started {recorded.restarts} times in between")
    if recorded.left_out:
        notes.append(f"{recorded.left_out} requests never came to a choice and are left out")
    for name, run in runs.items():
        if run.without_route:
            notes.append(f"{name}: {run.without_route} requests ask for what it does not offer")
        if run.acts_missed:
            notes.append(f"{name}: {run.acts_missed} acts of operators find nothing to act on")
        if run.known[Known.UNSEEN]:
            notes.append(f"{name}: {run.known[Known.UNSEEN]} attempts on targets that nobody asked")
    return notes


def as_json(found: Report) -> dict[str, Any]:
    agreed = found.agreement
    return {
        "since": found.recorded.since,
        "until": found.recorded.until,
        "calibration": {
            "decisions": agreed.decisions,
            "same": agreed.same,
            "share": agreed.share,
            "examples": [
                {"recorded": _shown(then), "replayed": _shown(now)} for then, now in agreed.examples
            ],
        },
        "figures": {name: asdict(each) for name, each in found.sides.items()},
        "answers": {
            name: {known.value: count for known, count in run.known.items()}
            for name, run in found.runs.items()
        },
        "assumptions": list(found.assumptions),
        "notes": list(found.notes),
    }


def print_report(found: Report) -> None:
    recorded, agreed = found.recorded, found.agreement
    first, last = clock_time(recorded.since), clock_time(recorded.until)
    click.echo(f"{len(recorded.requests)} requests from {first} to {last}\n")
    print_table("", ("figure", *found.sides), _rows(found.sides))
    click.echo("")
    click.echo(
        f"calibration: {agreed.share:.2%} of {agreed.decisions} decisions are as they were recorded"
    )
    for then, now in agreed.examples:
        click.echo(f"  {then.request_id}: {_words(then)}; replayed: {_words(now)}")
    for name, run in found.runs.items():
        counts = ", ".join(f"{count} {known}" for known, count in run.known.items() if count)
        click.echo(f"answers, {name}: {counts}")
    for note in found.notes:
        click.echo(f"note: {note}")
    click.echo("\nassumed:")
    for line in found.assumptions:
        click.echo(f"- {line}")


def _rows(sides: Mapping[str, Figures]) -> list[tuple[str, ...]]:
    values = [asdict(each) for each in sides.values()]
    rows = [(label, *(str(each[name]) for each in values)) for name, label in COUNTS]
    rows += [(label, *(length(each[name]) for each in values)) for name, label in LENGTHS]
    routes = dict.fromkeys(route for each in values for route in each["target_seconds"])
    for route in routes:
        spent = [each["target_seconds"].get(route, {}) for each in values]
        for target in dict.fromkeys(name for each in spent for name in each):
            label = f"{route} on {target}"
            rows.append((label, *(length(each.get(target, 0.0)) for each in spent)))
    return rows


def _shown(decision: Decision) -> dict[str, Any]:
    tried = [{"target": target, "credential": key} for target, key, _ in decision.tried]
    return {"request_id": decision.request_id, "outcome": decision.outcome, "tried": tried}


def _words(decision: Decision) -> str:
    tried = " → ".join(f"{target} ({key}) {how}" for target, key, how in decision.tried)
    return tried or decision.outcome.value
