"""What a run recommends to train: by val of trials and controls, or as confirmed on test."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dmtsearch.engine.ledger_lines import TrialProposed, whole_time
from dmtsearch.engine.messages import SEARCH
from dmtsearch.engine.run_summary import choose_recommended, delivered_model
from dmtsearch.errors import DmtSearchError
from dmtsearch.human import amount, listed
from dmtsearch.reporting.chain_diagram import Chain, draw_chain
from dmtsearch.reporting.confirmation import CHOSEN, ConfirmFindings
from dmtsearch.reporting.layout import Block, Code, Items, Section, TableBlock, Text, figures
from dmtsearch.reporting.measures import measure_of, short, show
from dmtsearch.reporting.run_record import RunRecord, Trial
from dmtsearch.schedule import describe, expand, parse_schedule


@dataclass(frozen=True)
class Recommended:
    """A schedule to train, and what is known of it.

    Attributes:
        name: `trial 7`, or the control arm's name.
        is_control: Whether it is a control arm, not a trial.
        is_confirmed: Whether `value` is accuracy on test over fresh seeds; else it is the main
            objective at search time.
        value: Mean over `seeds` runs.
        n: Samples that each was measured on; None where it is not known.
        asked: Its stages, as one run of it has them.
        seconds: Wall-clock of its stages, whichever run trained them; None where one is unknown.
        latency: Of the delivered model; {} where it is not known.
        schedule: As YAML.
    """

    name: str
    is_control: bool
    is_confirmed: bool
    value: float
    seeds: int
    n: int | None
    asked: TrialProposed
    ended: Trial | None
    seconds: float | None
    latency: Mapping[str, Any]
    schedule: str

    @property
    def params(self) -> int:
        return self.asked.params

    @property
    def first_params(self) -> int:
        """Parameters of its first model."""
        return self.asked.stages[0].params


def gather_recommended(record: RunRecord, confirmation: ConfirmFindings) -> Recommended | None:
    """What the confirmation recommends, else the best by val; None where nothing finished."""
    return _confirmed(record, confirmation) or _by_val(record)


def _by_val(record: RunRecord) -> Recommended | None:
    finished = {
        trial.asked.trial: (trial, value)
        for trial in record.trials
        if (value := trial.value(record.main)) is not None
    }
    asked = choose_recommended([(t.asked, v) for t, v in finished.values()], record.direction)
    if asked is None:
        return None
    trial, value = finished[asked.trial]
    is_control = asked.arm != SEARCH
    values = [value]
    if is_control:
        same = delivered_model(asked)
        values = [
            v for t, v in finished.values()
            if t.asked.arm == asked.arm and delivered_model(t.asked) == same
        ]  # fmt: skip
    stages = [record.stages.get(stage.key) for stage in asked.stages]
    last = record.stages.get(asked.key)
    return Recommended(
        name=asked.arm if is_control else f"trial {asked.trial}",
        is_control=is_control,
        is_confirmed=False,
        value=fmean(values),
        seeds=len(values),
        n=trial.ended.metrics.get("n") if trial.ended is not None else None,
        asked=asked,
        ended=trial,
        seconds=whole_time(stages),
        latency=last.latency if last is not None else {},
        schedule=asked.schedule,
    )


def _confirmed(record: RunRecord, confirmation: ConfirmFindings) -> Recommended | None:
    found, arm = confirmation.found, confirmation.recommended
    if found is None or arm is None or confirmation.schedule is None:
        return None
    path = confirmation.paths.get(arm)
    tested = next(t.asked for t in record.trials if t.asked.trial == found.chosen.trial)
    accuracies = {one.arm: one.accuracy for one in found.controls}
    return Recommended(
        name=f"trial {found.chosen.trial}" if arm == CHOSEN else arm,
        is_control=arm != CHOSEN,
        is_confirmed=True,
        value=accuracies.get(arm, found.chosen.accuracy),
        seeds=found.n,
        n=found.test_n,
        # All arms of a confirmation deliver the chosen trial's model.
        asked=path.asked if path is not None else tested,
        ended=None,
        seconds=path.seconds if path is not None else None,
        latency=path.latency if path is not None else {},
        schedule=confirmation.schedule,
    )


def in_short(schedule: str) -> str | None:
    """A schedule in a few words: `teacher to student in one hop, hints at student`.

    None where this version cannot read it.
    """
    try:
        whole = expand(parse_schedule(schedule))
    except DmtSearchError:
        return None
    needed = whole.needed()
    words = " to ".join(stage.name for stage in needed[:6])
    # Said, since the question is often whether middle models help.
    words += {1: " alone", 2: " in one hop"}.get(len(needed), "")
    hints = [stage.name for stage in needed if stage.hints]
    merit = [stage.name for stage in needed if stage.merit is not None]
    for what, where in (("hints", hints), ("merit", merit)):
        words += f", {what} at {listed(where)}" if where else ""
    return words


def recommended_section(found: Recommended | None, chain: Chain | None, cost: str) -> Section:
    """What to train: in words, drawn, as a file, and what it takes (`cost`)."""
    title = "The schedule to train"
    if found is None:
        words = "Nothing has finished, neither a trial nor a control arm."
        return Section("schedule", title, (Text(words),))
    blocks: list[Block] = list(_words(found))
    if chain is not None:
        blocks += figures([draw_chain(chain)])
    blocks.append(Text(cost))
    blocks += _values(found)
    blocks.append(Code(found.schedule, "yaml"))
    return Section("schedule", title, tuple(blocks))


def _words(found: Recommended) -> list[Block]:
    name = f"The control arm {found.name}" if found.is_control else found.name.capitalize()
    how = "as confirmed on fresh seeds" if found.is_confirmed else "the best by val, not confirmed"
    try:
        lines = describe(parse_schedule(found.schedule)).splitlines()
    except DmtSearchError as error:
        reason = str(error).splitlines()[0]
        return [Text(f"{name}, {how}. This version cannot read the schedule: {reason}.")]
    # The first line opens with the space's name, which every trial has.
    head = lines[0].partition(": ")[2] or lines[0]
    return [
        Text(f"{name}, {how}: {head}"),
        Items(tuple(line.removeprefix("- ") for line in lines[1:])),
    ]


def _values(found: Recommended) -> list[Block]:
    ended = found.ended.ended if found.ended is not None else None
    if ended is None:
        return []
    measured: dict[str, float | None] = {
        **ended.objectives,
        "val_accuracy": ended.metrics.get("accuracy"),
        "val_nll": ended.metrics.get("nll"),
        "val_ece": ended.metrics.get("ece"),
        "params": found.asked.params,
        "macs": found.asked.macs,
        "cold_cost": found.asked.cold_cost,
    }
    rows = [
        (measure_of(name).label, show(name, value))
        for name, value in measured.items()
        if value is not None
    ]
    caption = f"Seed {found.asked.seed}" + (f", n = {found.n:,} val samples." if found.n else ".")
    blocks: list[Block] = [TableBlock(("measured", "value"), tuple(rows), ("value",), caption)]
    values = found.asked.read_values
    if values:
        holes = tuple((name, short(value)) for name, value in values.items())
        blocks.append(
            TableBlock(("hole", "value"), holes, ("value",), folded="What fills its holes")
        )
    return blocks


def size_words(found: Recommended) -> str:
    """`2,920 parameters, 1/6 of its first model's`."""
    words = f"{found.params:,} parameters"
    share = found.first_params / found.params if found.params else 1.0
    if share >= 1.5:
        words += f", 1/{share:.2g} of its first model's ({amount(found.first_params)})"
    return words
