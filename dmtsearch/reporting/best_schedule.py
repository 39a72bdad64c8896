"""The best schedule: which it is, in words, and what it takes to run it again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dmtsearch.errors import DmtSearchError
from dmtsearch.human import duration
from dmtsearch.reporting.chain_diagram import Chain, draw_chain
from dmtsearch.reporting.layout import Block, Code, Items, Section, TableBlock, Text, figures
from dmtsearch.reporting.measures import measure_of, short, show
from dmtsearch.reporting.run_record import RunRecord, Trial
from dmtsearch.schedule import describe, parse_schedule


@dataclass(frozen=True)
class BestSchedule:
    """The finished trial of the search with the best main objective.

    Attributes:
        trial: Its number; of equal ones the earliest.
        seed: Of its schedule.
        objectives: All of them.
        metrics: Of the delivered stage on val: n, accuracy, nll, ece.
        values: What fills its holes.
        params, macs: Of the delivered model.
        cold_cost: To run it again, in sample-MACs.
        seconds: Wall-clock of its stages as they were measured, shared ones included; None where
            a stage came from the store without one.
        schedule: As YAML.
    """

    trial: int
    seed: int
    value: float
    objectives: Mapping[str, float | None]
    metrics: Mapping[str, Any]
    values: Mapping[str, Any]
    params: int
    macs: int
    cold_cost: int
    seconds: float | None
    schedule: str


def best_trial(record: RunRecord) -> Trial | None:
    """The done search trial with the best main objective; of equal ones the earliest.

    The same one as in the run's `summary.json` and `best_schedule.yaml`.
    """
    ranked = record.ranked()
    return ranked[0][0] if ranked else None


def describe_best(record: RunRecord, trial: Trial) -> BestSchedule:
    """What a report says of the best trial."""
    value, ended = trial.value(record.main), trial.ended
    if value is None or ended is None:
        raise AssertionError("the best trial is done and has a value")
    stages = [record.stages.get(request.key) for request in trial.asked.stages]
    measured = [stage.seconds for stage in stages if stage is not None and stage.seconds > 0]
    return BestSchedule(
        trial=trial.asked.trial,
        seed=trial.asked.seed,
        value=value,
        objectives=ended.objectives,
        metrics=ended.metrics,
        values=trial.asked.read_values,
        params=trial.asked.params,
        macs=trial.asked.macs,
        cold_cost=trial.asked.cold_cost,
        seconds=sum(measured) if len(measured) == len(stages) else None,
        schedule=trial.asked.schedule,
    )


def cost_again(best: BestSchedule) -> str:
    """What running a schedule again takes: cold cost, and wall-clock where it is known."""
    time = f", about {duration(best.seconds)} as measured here" if best.seconds is not None else ""
    return f"{show('cold_cost', best.cold_cost)}{time}"


def best_section(best: BestSchedule | None, chain: Chain | None) -> Section:
    """What to do again, and what it takes."""
    blocks: list[Block] = []
    if best is None:
        blocks.append(Text("No trial has finished, so there is no best schedule yet."))
        return Section("schedule", "The best schedule", tuple(blocks))
    blocks += _words(best)
    if chain is not None:
        blocks += figures([draw_chain(chain)])
    blocks += [Text(f"To run it again from nothing takes {cost_again(best)}."), *_values(best)]
    blocks.append(Code(best.schedule, "yaml", folded="The schedule as a file"))
    return Section("schedule", "The best schedule", tuple(blocks))


def _words(best: BestSchedule) -> list[Block]:
    try:
        lines = describe(parse_schedule(best.schedule)).splitlines()
    except DmtSearchError as error:
        return [Text(f"This version cannot read the schedule: {str(error).splitlines()[0]}.")]
    # The first line opens with the space's name, which every trial has.
    head = lines[0].partition(": ")[2] or lines[0]
    return [
        Text(f"Trial {best.trial}, seed {best.seed}: {head}"),
        Items(tuple(line.removeprefix("- ") for line in lines[1:])),
    ]


def _values(best: BestSchedule) -> list[Block]:
    blocks: list[Block] = []
    measured: dict[str, float | None] = {
        **best.objectives,
        "val_accuracy": best.metrics.get("accuracy"),
        "val_nll": best.metrics.get("nll"),
        "val_ece": best.metrics.get("ece"),
        "params": best.params,
        "macs": best.macs,
        "cold_cost": best.cold_cost,
    }
    rows = [
        (measure_of(name).label, show(name, value))
        for name, value in measured.items()
        if value is not None
    ]
    n = best.metrics.get("n")
    caption = f"n = {n:,} val samples, one seed." if n is not None else "One seed."
    blocks.append(TableBlock(("measured", "value"), tuple(rows), ("value",), caption))
    if best.values:
        holes = tuple((name, short(value)) for name, value in best.values.items())
        blocks.append(
            TableBlock(("hole", "value"), holes, ("value",), folded="What fills its holes")
        )
    return blocks
