"""The rules of the engine, each with the patch that removes it. Data of the mutation check.

A patch is text: if the code has moved on so that it does not apply, the check fails and says so.
"""

from __future__ import annotations

from dataclasses import dataclass

ROUTING = "gateway/routing"


@dataclass(frozen=True, slots=True)
class Mutant:
    rule: str
    """What is taken away."""
    file: str
    old: str
    new: str
    times: int = 1
    """How often `old` stands in the file; all of them are replaced."""


def mutant(rule: str, module: str, old: str, new: str, *, times: int = 1) -> Mutant:
    return Mutant(rule, f"{ROUTING}/{module}.py", old, new, times)


MUTANTS: tuple[Mutant, ...] = (
    # -- holds, penalties, moves -------------------------------------------------------------------
    mutant("the fallback cooldown", "pointer", "    if seconds <= 0.0:\n", "    if True:\n"),
    mutant(
        "a hold only reorders",
        "choosing",
        "    if not provider.credentials:\n",
        "    if not provider.credentials or hop.hold.rests(now):\n",
    ),
    mutant(
        "damping's suppression",
        "damping",
        "return self.suppressed_since is not None and stability.damping is Damping.ENFORCE",
        "return False",
    ),
    mutant(
        "damping that only observes",
        "damping",
        "return self.suppressed_since is not None and stability.damping is Damping.ENFORCE",
        "return self.suppressed_since is not None",
    ),
    mutant(
        "the penalty of a departure",
        "pointer",
        "    events += penalize(route, active, active.stability.penalty_departure, now=now)\n",
        "",
    ),
    mutant("the budget of moves", "damping", "        if left < 1.0:\n", "        if False:\n"),
    mutant(
        "evidence: enough good answers",
        "pointer",
        "evidence.good < stability.return_good_answers or not long_enough",
        "not long_enough",
    ),
    mutant(
        "evidence: over enough time",
        "pointer",
        "evidence.good < stability.return_good_answers or not long_enough",
        "evidence.good < stability.return_good_answers",
    ),
    mutant(
        "evidence: no failure between",
        "state",
        "        self.good, self.since = 0, None\n",
        "        pass\n",
    ),
    mutant(
        "evidence: more of it after a short stay",
        "pointer",
        "evidence.asked = min(trusted, STRETCH * stretch)",
        "evidence.asked = 0.0",
    ),
    mutant(
        "setbacks spare warm sessions",
        "probing",
        "stability.probe_starvation_seconds * SETBACK ** min(hop.evidence.setbacks, 16)",
        "stability.probe_starvation_seconds",
    ),
    mutant(
        "each move is told",
        "pointer",
        "    route.ramp = None\n    return [event]\n",
        "    route.ramp = None\n    return []\n",
    ),
    # -- probes, trials, rests ---------------------------------------------------------------------
    mutant(
        "one probe of a target",
        "state",
        "return self.lease is not None and self.lease.until > now",
        "return False",
    ),
    mutant(
        "one probe of a place",
        "cooldown",
        "return self.lease is not None and self.lease.until > now",
        "return False",
    ),
    mutant(
        "a lease ends by itself",
        "state",
        "return self.lease is not None and self.lease.until > now",
        "return self.lease is not None",
    ),
    mutant(
        "a trial after a rest",
        "cooldown",
        "self.unproven = self.unproven or source in TRIED_AFTER",
        "pass",
        times=2,
    ),
    mutant(
        "a failed probe reopens at once",
        "resting",
        "    if target.spot.unproven or target.provider.spot.unproven:\n",
        "    if False:\n",
    ),
    mutant(
        "failed probes come at longer gaps",
        "probing",
        "gap = (evidence.gap or stability.probe_gap_seconds) * 2",
        "gap = stability.probe_gap_seconds",
    ),
    mutant(
        "the later of two ends",
        "cooldown",
        "        if until <= cooldown.until:\n",
        "        if False:\n",
    ),
    mutant(
        "never before the stated time",
        "policy",
        "return hint + draw * min(2.0, 0.1 * hint)",
        "return hint - draw * min(2.0, 0.1 * hint)",
    ),
    mutant(
        "long stated rests are looked at",
        "cooldown",
        "        return self._since_look(rest, now) >= every\n",
        "        return False\n",
    ),
    mutant(
        "a place that rests does not climb",
        "cooldown",
        "        if self.rests(now.instant):\n            return []\n        level = ",
        "        level = ",
    ),
    mutant(
        "peace takes steps off the ladder",
        "cooldown",
        "self._level - int((now - ended) / self.decay_seconds)",
        "self._level",
    ),
    mutant(
        "the guard of a whole pool",
        "resting",
        "        if blamed.alone or wide or blamed.failure not in GUARDED:\n",
        "        if True:\n",
    ),
    mutant(
        "the local network is nobody's fault",
        "guard",
        "        self.away = True\n        return True\n",
        "        return False\n",
    ),
    mutant(
        "nobody's fault changes nothing",
        "resting",
        "        if POLICY[blamed.failure].blame is Blame.NOBODY:\n            return []\n",
        "",
    ),
    # -- sessions, waits, bounds -------------------------------------------------------------------
    mutant(
        "a session's seat comes first",
        "order",
        "            return Rank.SEAT\n",
        "            return Rank.FREE\n",
    ),
    mutant(
        "a detour is sticky",
        "seating",
        "return self._moved(binding, Seat(candidate.hop, candidate.credential), DETOUR, now)",
        "return []",
    ),
    mutant(
        "a session goes home only to a stable target",
        "seating",
        "return calm and proved and old and turn",
        "return True",
    ),
    mutant("permits are given back", "pool", "        provider.in_flight -= 1\n", ""),
    mutant(
        "queues are fair",
        "readiness",
        "return first == request and not full",
        "return not full",
    ),
    mutant(
        "who gave up waits no more",
        "call",
        "        self._record.waited += self._patience.stop(now)\n",
        "",
        times=2,
    ),
    mutant(
        "the first in the queue is woken",
        "waiting",
        "            self._woken[next(iter(provider.queue))] = None\n",
        "            pass\n",
    ),
    mutant(
        "who ran into a short limit asks again when it is over",
        "repeating",
        "        if not self._allowed or POLICY[bad.failure].again is not Again.WHEN_OVER:\n",
        "        if True:\n",
    ),
    mutant(
        "a limit beyond the wait is not asked again",
        "repeating",
        "bad.stated_seconds is None or bad.stated_seconds > within",
        "bad.stated_seconds is None",
    ),
    mutant("nobody is asked a third time", "repeating", "        self._allowed = False\n", ""),
    mutant(
        "a second time counts against the caps",
        "caps",
        " and not second:",
        ":",
    ),
    mutant(
        "a probe under way is waited for",
        "patience",
        "soonest > left > 0 and self._probed(now)",
        "False",
    ),
    mutant("the retry budget", "retry_budget", "retries + 1 <= allowed", "True"),
    mutant(
        "attempts of one request",
        "caps",
        "        if self._counted >= self._stability.max_attempts:\n",
        "        if False:\n",
    ),
    mutant(
        "attempts on one provider",
        "caps",
        "        if self._by_provider[provider] >= self._stability.max_attempts_per_provider:\n",
        "        if False:\n",
    ),
    mutant(
        "the deadline",
        "call",
        "        if now.instant >= self._deadline or (",
        "        if False or (",
    ),
    mutant(
        "nothing is retried after content",
        "call",
        '        (Phase.COMMITTED, "failed"): Phase.DONE,\n',
        '        (Phase.COMMITTED, "failed"): Phase.SELECTING,\n',
    ),
)
