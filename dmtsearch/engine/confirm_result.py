"""What a look of a confirmation found, and which schedule it recommends."""

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from dmtsearch.evidence import LookResult, Verdict, answer, compare, power
from dmtsearch.human import amount, command_line
from dmtsearch.schedule import Schedule, dump_schedule, expand

from .confirm_arms import CHOSEN
from .confirm_plan import ConfirmPaths, ConfirmPlan

NEAR = 0.001
"""Of controls within a tenth of a point the one with fewer stages is recommended."""

Scores = Mapping[str, Sequence[float]]
"""Test accuracy of each arm, one a replicate."""


GAINS = (0.005, 0.01, 0.02)
"""True differences for which the power of a plan is said before the test split is read."""


def power_of(plan: ConfirmPlan, val: Scores) -> dict[str, Any]:
    """What a plan can find: the widest paired spread on val, and the share of wins by true gain.

    Args:
        plan: The plan.
        val: Val accuracy of each arm in its first replicates.
    """
    controls = [arm for arm in val if arm != CHOSEN]
    spread = max(
        compare([a - b for a, b in zip(val[CHOSEN], val[arm], strict=True)]).sd for arm in controls
    )
    wins = {
        f"{100 * gain:g} points": power(
            plan.looks,
            difference=gain,
            sd=max(spread, 1e-4),
            controls=len(controls),
            margin=plan.margin,
        ).wins
        for gain in GAINS
    }
    return {"sd_on_val": spread, "wins": wins}


def look_result(
    plan: ConfirmPlan,
    number: int,
    decision: LookResult,
    scores: Scores,
    replicates: Sequence[int],
    *,
    given: bool,
    test_n: int,
    power: Mapping[str, Any],
    words: Mapping[str, Any],
) -> dict[str, Any]:
    """The top of `confirm.json`.

    Args:
        plan: Whose look it is.
        number: Of the plan, from 1.
        decision: At this look.
        scores: Of all arms.
        replicates: Their numbers.
        given: Whether they share a first model that is there already.
        test_n: Samples of the test split.
        power: What the plan can find.
        words: What is measured, of what, and whether at equal cost.
    """
    confidence = plan.looks.confidence
    controls = [
        {
            "arm": name,
            "difference": paired.mean,
            "interval": list(paired.interval(confidence)),
            "interval_90": list(paired.interval(0.9)),
            "sd": paired.sd,
            "n": paired.n,
            "p": paired.p_two_sided,
            "verdict": str(verdict),
            "accuracy": statistics.fmean(scores[name]),
        }
        for name, (paired, verdict) in decision.controls.items()
    ]
    found = {
        "verdict": str(decision.verdict),
        **words,
        "over": decision.stop,
        "futile": decision.futile,
        "plan": number,
        "n": decision.n,
        "chosen": {
            "trial": plan.chosen,
            "accuracy": statistics.fmean(scores[CHOSEN]),
            "sd": statistics.stdev(scores[CHOSEN]),
        },
        "controls": controls,
        "missing_controls": dict(plan.missing),
        "looks": list(plan.looks.at),
        "confidence": confidence,
        "split": "test",
        "test_n": test_n,
        "seeds": {
            "choose": list(plan.choosing_seeds) if len(plan.candidates) > 1 else [],
            "test": [plan.test_seed(r) for r in replicates],
        },
        "margin": plan.margin,
        "power": dict(power),
        "first_model": "given" if given else "trained",
        "students": plan.students,
        "cold_cost": plan.cost,
    }
    return {**found, "answer": answer(found)}


def recommend(decision: LookResult, scores: Scores, arms: Mapping[str, Schedule]) -> str:
    """The arm to train: the chosen schedule if it beats all, else the best control left."""
    if decision.verdict is Verdict.BEATS:
        return CHOSEN
    left = [arm for arm, (_, found) in decision.controls.items() if found is not Verdict.BEATS]
    means = {arm: statistics.fmean(scores[arm]) for arm in left}
    near = [arm for arm in left if means[arm] >= max(means.values()) - NEAR]
    return min(near, key=lambda arm: (len(expand(arms[arm]).needed()), -means[arm]))


def recommended_text(
    paths: ConfirmPaths,
    result: Mapping[str, Any],
    arm: str,
    accuracy: float,
    schedule: Schedule,
    note: str | None = None,
) -> str:
    """`recommended.yaml`: a schedule, with a head that says verdict, n, seeds and cost.

    Args:
        paths: Of the confirmation.
        result: Of the last look.
        arm: Which is recommended.
        accuracy: Of it on test.
        schedule: What it runs, with the seed to train it by.
        note: What else to know of it.
    """
    cost = f", {amount(result['cold_cost'])} sample-MACs at most" if result["equal_cost"] else ""
    known = "".join(f"# {line}\n" for line in textwrap.wrap(note or "", 97))
    chosen = f"trial {result['chosen']['trial']}"
    what = chosen if arm == CHOSEN else f"the control {arm}"
    seeds = result["seeds"]["test"]
    train = command_line("train", paths.run_root, "--out", "DIR")
    teacher = ", for this teacher" if result["first_model"] == "given" else ""
    return (
        f"# {what}; verdict on the chosen schedule ({chosen}): {result['verdict']}{teacher}\n"
        f"# test {result['metric']} {100 * accuracy:.2f} % over n = {result['n']} "
        f"fresh seeds ({seeds[0]} to {seeds[-1]}){cost}\n{known}"
        f"# made by dmtsearch confirm; train it: {train}\n{dump_schedule(schedule)}"
    )
