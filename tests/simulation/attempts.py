"""The bounds on the attempts of one request, as a watcher of the simulation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gateway.events import CandidateSkipped, Failure
from gateway.routing.policy import POLICY, Again, Blame
from gateway.routing.steps import Bad, Send
from tests.simulation.world import Asked, Fact, Reported, Sent, Told, World


def target_of(send: Send) -> str:
    return f"{send.provider.name}/{send.model}"


def candidate_of(send: Send) -> tuple[str, str]:
    return target_of(send), send.credential.name


def is_second(asked: Asked) -> bool:
    """Whether the last attempt is the second one on its candidate."""
    last = candidate_of(asked.sends[-1])
    return sum(candidate_of(each) == last for each in asked.sends) > 1


def earlier(asked: Asked) -> Bad:
    """Why the last attempt's candidate had failed before."""
    last = candidate_of(asked.sends[-1])
    pairs = zip(asked.sends[:-1], asked.bads, strict=False)
    return next(bad for send, bad in pairs if candidate_of(send) == last)


def spent(asked: Asked) -> Counter[str]:
    """Failed attempts by provider, those of limited keys left out unless they were asked again."""
    counted: Counter[str] = Counter()
    asked_before: set[tuple[str, str]] = set()
    for send, bad in zip(asked.sends, asked.bads, strict=False):
        candidate = candidate_of(send)
        if POLICY[bad.failure].blame is not Blame.CAPACITY or candidate in asked_before:
            counted[send.provider.name] += 1
        asked_before.add(candidate)
    return counted


@dataclass(slots=True)
class Bounds:
    """Attempts within their caps, none after content, each candidate once or with reason twice."""

    problems: list[str] = field(default_factory=list)
    numbers: dict[str, list[int]] = field(default_factory=dict)
    failed: dict[tuple[str, tuple[str, str]], float] = field(default_factory=dict)
    """When a request's candidate failed last."""

    def saw(self, world: World, fact: Fact) -> None:
        match fact:
            case Sent():
                self._sent(fact.asked, fact.send, world.now)
            case Reported() if fact.bad is not None:
                self.failed[fact.asked.name, candidate_of(fact.asked.sends[-1])] = world.now
            case Told(event=CandidateSkipped() as event):
                self._number(event.request_id, event.n)
            case _:
                pass

    def _number(self, request: str, n: int) -> None:
        numbers = self.numbers.setdefault(request, [])
        numbers.append(n)
        if n != len(numbers):
            self.problems.append(f"{request}: candidates are numbered {numbers}")

    def _sent(self, asked: Asked, send: Send, now: float) -> None:
        self._number(asked.name, int(send.attempt_id.rpartition(".")[2]))
        stability = asked.call.route.chain.stability
        counted = spent(asked)
        if asked.content:
            self.problems.append(f"{send.attempt_id} is sent after content")
        if counted.total() >= stability.max_attempts:
            self.problems.append(f"{send.attempt_id} is one attempt too many")
        if counted[send.provider.name] >= stability.max_attempts_per_provider:
            self.problems.append(f"{send.attempt_id} is one too many on {send.provider.name}")
        tried = Counter(candidate_of(each) for each in asked.sends)
        again = [key for key, times in tried.items() if times > 1]
        if len(again) > 1 or any(tried[key] > 2 for key in again):
            self.problems.append(f"{send.attempt_id} is the same again: {tried}")
        if again == [candidate_of(send)]:
            self._second(asked, send, now)

    def _second(self, asked: Asked, send: Send, now: float) -> None:
        """After a limit not before its stated end, nor where that was too far away to wait for."""
        before = earlier(asked)
        rule = POLICY[before.failure].again
        if rule is Again.NO:
            self.problems.append(f"{send.attempt_id} may not be asked again")
        if rule is not Again.WHEN_OVER:
            return
        assert before.failure is Failure.RATE_LIMITED
        stated, most = before.stated_seconds, asked.call.route.chain.stability.wait_max_seconds
        since = now - self.failed[asked.name, candidate_of(send)]
        if stated is None or not stated <= min(since, most):
            self.problems.append(
                f"{send.attempt_id} is asked again {since} s after a limit of {stated} s"
            )
