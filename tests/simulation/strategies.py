"""Ways to react to failures, each as parameters of `Stability` over the same core.

The simple ones are approximated from above: the core still sends one request at a time to a place
whose rest is over, and adds up to a fifth to guessed rests, which is kinder to them than their
originals are.
"""

from __future__ import annotations

from typing import Any

from gateway.config import Damping, Stability

NEVER = 10**9
NO_TIME = 1e-9

BLIND: dict[str, Any] = {
    # No fallback cooldown, no penalty, no sessions: the order of the file, minus what rests.
    "damping": Damping.OFF,
    "cooldown_min_seconds": 0.0,
    "cooldown_multiplier": 0.0,
    "session_idle_seconds": 0.0,
    # Back at the first chance: one good answer is enough, and there is no budget of moves.
    "probe_gap_seconds": 0.0,
    "probe_gap_max_seconds": 0.0,
    "return_good_answers": 1,
    "return_good_seconds": 0.0,
    "return_good_max_seconds": 0.0,
    "moves_burst": NEVER,
    "moves_refill_seconds": NO_TIME,
    "ramp_step_seconds": NO_TIME,
    "ladder_decay_seconds": NO_TIME,
    "wait_max_seconds": 0.0,
    "guard_credentials": NEVER,
    "long_unavailable_seconds": 0.0,
}


def always_primary() -> Stability:
    """Nothing is remembered of any failure."""
    return Stability(
        **{
            **BLIND,
            "breaker_failures": NEVER,
            "breaker_min_outcomes": NEVER,
            "rate_limited_base_seconds": 0.0,
            "rate_limited_cap_seconds": 0.0,
            "stated_min_seconds": 0.0,
            "stated_max_seconds": 0.0,
            "long_unavailable_seconds": float(NEVER),
        }
    )


def fixed(seconds: float) -> Stability:
    """One failure is so many seconds of rest, and then it is back, whatever was stated."""
    return Stability(
        **{
            **BLIND,
            "breaker_failures": 1,
            "breaker_base_seconds": seconds,
            "breaker_cap_seconds": seconds,
            "rate_limited_base_seconds": seconds,
            "rate_limited_cap_seconds": seconds,
            "stated_min_seconds": seconds,
            "stated_max_seconds": seconds,
        }
    )


ORIGIN_SECONDS = max(300 * 1.5, 60)
"""What the project this one grew from let a provider rest after a failure."""
THIS = "this design"

STRATEGIES: dict[str, Stability] = {
    "always primary": always_primary(),
    "cooldown 5 s": fixed(5),
    "cooldown 60 s": fixed(60),
    "450 s, blind": fixed(ORIGIN_SECONDS),
    THIS: Stability(),
}
