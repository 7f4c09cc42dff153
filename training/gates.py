"""What a model must reach, measured on held-out scenes by the judge; written into its card.

Two bars. What fails the lower one is not offered to people. The upper ones are what a model should
reach; the card says by how much it misses them.
"""

from __future__ import annotations

from typing import Any

from benchmarks.measure import Effect

OFFERED_GONE, OFFERED_COME = 0.5, 0.3
"""The lower bar: share of the concept that must be gone, or points of the stroke that must come."""

GONE = {"tree": 0.7, "dome": 0.7, "door": 0.7, "window": 0.5, "grass": 0.5}
COME = {"tree": 0.5, "grass": 0.5, "sky": 0.5, "dome": 0.3, "door": 0.3, "window": 0.3}
OUTSIDE = 0.97
PSNR = {"encoder": 20.0, "refined": 24.0}


def gain(effect: Effect) -> float:
    """A removal's share of the concept that went, or an addition's points that came."""
    if effect.operation == "remove":
        return 1 - effect.after / max(effect.before, 1e-6)
    return effect.after - effect.before


def offered(effect: Effect, finished: list[Effect] | None = None) -> bool:
    """Whether people are offered this operation on this concept.

    finished: what finished pictures gave. Where they pass, the raw ones need not: there a thing has
    its exemplar's pixels.
    """
    least = OFFERED_GONE if effect.operation == "remove" else OFFERED_COME
    same = (effect.concept, effect.operation)
    seen = [effect, *(f for f in finished or () if (f.concept, f.operation) == same)]
    return any(gain(one) >= least for one in seen)


def table(effects: list[Effect], outside: float, psnr: dict[str, float]) -> list[dict[str, Any]]:
    """Every gate: its name, what was measured, what to reach, and whether it is reached."""
    rows = []
    for e in effects:
        target = (GONE if e.operation == "remove" else COME).get(e.concept)
        if target is not None:
            rows.append((f"{e.operation} {e.concept}", gain(e), target))
    rows.append(("outside unchanged", outside, OUTSIDE))
    rows += [(f"psnr {stage}", psnr[stage], target) for stage, target in PSNR.items()]
    return [
        {"gate": name, "measured": round(value, 3), "target": target, "reached": value >= target}
        for name, value, target in rows
    ]
