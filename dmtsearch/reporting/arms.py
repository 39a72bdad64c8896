"""The search's trials beside its control arms."""

from collections.abc import Sequence
from dataclasses import dataclass

from dmtsearch.reporting.chance import Spread, spread
from dmtsearch.reporting.reading import RunRecord, Trial

ORDER = (
    *("scratch", "scratch_long", "direct", "direct_long", "direct_standardised"),
    *(
        "direct_dkd",
        "best_direct",
        "assistant",
        "fitnet",
        "hint_reversed",
        "merit_matched",
        "merit_shuffled",
    ),
)
MEANING = {
    "search": "the trials that fill the space, one seed",
    "scratch": "the delivered model from labels alone",
    "scratch_long": "the same, for as many epochs as cost what the anchor costs",
    "direct": "the first stage, then the delivered model by soft targets",
    "direct_long": "the same, at the anchor's cost",
    "direct_standardised": "direct with z-scored logits",
    "direct_dkd": "direct with decoupled distillation (DKD) in place of KL",
    "best_direct": "the best one-hop schedule among the trials",
    "assistant": "one model in between, soft targets only",
    "fitnet": "direct, with hints first",
    "hint_reversed": "placebo: the hints at mirrored points",
    "merit_matched": "placebo: merit's mean weight for all samples",
    "merit_shuffled": "placebo: merit's weights dealt out to other samples",
}


@dataclass(frozen=True)
class Run:
    """One finished run of an arm: the trial's number, its seed, its main objective."""

    trial: int
    seed: int
    value: float


@dataclass(frozen=True)
class Arm:
    """All runs of the search, or of one control arm.

    Attributes:
        name: `search`, or the control arm's.
        meaning: In words.
        runs: Those that finished and have the main objective, in order of proposal.
        asked: Runs that were proposed.
        spread: Of the main objective; None where nothing finished.
        others: Spread of each further objective, by name.
        params: Smallest and largest number of parameters of the delivered model.
        cold_cost: Smallest and largest cost to run one of them again, in sample-MACs.
        seeds: Each once, in order.
    """

    name: str
    meaning: str
    runs: tuple[Run, ...]
    asked: int
    spread: Spread | None
    others: dict[str, Spread]
    params: tuple[int, int]
    cold_cost: tuple[int, int]
    seeds: tuple[int, ...]


def gather_arms(record: RunRecord) -> tuple[Arm, ...]:
    """The search first, then every control arm that was run, in the order of their table."""
    groups: dict[str, list[Trial]] = {}
    for trial in record.trials:
        groups.setdefault(trial.asked.arm, []).append(trial)
    known = [name for name in ("search", *ORDER) if name in groups]
    names = [*known, *(name for name in groups if name not in known)]
    return tuple(_arm(name, groups[name], record) for name in names)


def _arm(name: str, trials: Sequence[Trial], record: RunRecord) -> Arm:
    runs = tuple(
        Run(trial.asked.trial, trial.asked.seed, value)
        for trial in trials
        if (value := trial.value(record.main)) is not None
    )
    others: dict[str, Spread] = {}
    for objective in record.objectives:
        found = spread([v for trial in trials if (v := trial.value(objective)) is not None])
        if objective != record.main and found is not None:
            others[objective] = found
    finished = {run.trial for run in runs}
    shown = [trial for trial in trials if trial.asked.trial in finished] or list(trials)
    params = [trial.asked.params for trial in shown]
    costs = [trial.asked.cold_cost for trial in shown]
    return Arm(
        name=name,
        meaning=MEANING.get(name, "a control arm"),
        runs=runs,
        asked=len(trials),
        spread=spread([run.value for run in runs]),
        others=others,
        params=(min(params), max(params)),
        cold_cost=(min(costs), max(costs)),
        seeds=tuple(sorted({trial.asked.seed for trial in shown})),
    )
