"""What limits what a report says, and what its space holds fixed."""

import math
from statistics import median

from dmtsearch.errors import DmtSearchError
from dmtsearch.human import amount, counted, listed
from dmtsearch.reporting.chain_diagram import weak_sources
from dmtsearch.reporting.findings import Summary
from dmtsearch.reporting.layout import Items, Section
from dmtsearch.reporting.run_record import RunRecord
from dmtsearch.schedule import NEARLY_CONSTANT, Expanded, Stage, expand, parse_schedule


def caveats(summary: Summary) -> tuple[str, ...]:
    """One sentence or two each: the search's own limits first, then what the space holds fixed."""
    found = [
        "A search trial is one run with one seed; its value was also what chose it, so the best "
        "value is too good on average."
    ]
    found += _samples(summary)
    found.append(
        "What each hole does, before a confirmation, is a fit that adds effects up; the sampler "
        "tries what looks good more often, so its intervals are too narrow rather than too wide."
    )
    found.append(
        "The search never reads the test split; "
        + (
            f"`dmtsearch confirm` opened it {counted(summary.test_openings, 'time')}, each "
            "written down in confirm.json."
            if summary.test_openings
            else "it was opened 0 times, and every accuracy here is on val."
        )
    )
    for source, there, target, here in weak_sources(summary.chain) if summary.chain else ():
        found.append(
            f"In the schedule to train {source} ({100 * there:.2f} % on val) is not above "
            f"{target} ({100 * here:.2f} %), which learned from it."
        )
    found += _merit(summary.record)
    missing = summary.record.missing
    for reason in dict.fromkeys(arm.reason for arm in missing):
        names = listed([arm.arm for arm in missing if arm.reason == reason])
        found.append(f"There is no control arm {names}: {reason}.")
    return (*found, *gather_fixed(summary.record))


def _merit(record: RunRecord) -> list[str]:
    """How far merit was from a constant weight, over the stages that have it."""
    weights = [line.merit for line in record.stages.values() if line.merit]
    if not weights:
        return []
    shares = sorted(float(one["differs"]) for one in weights)
    n = max(int(one["n"]) for one in weights)
    words = (
        f"Merit, in {counted(len(weights), 'stage')}: the weight of the soft targets is another "
        f"than the commonest on {100 * shares[0]:.1f} to {100 * shares[-1]:.1f} % of {n:,} "
        f"training samples (median {100 * median(shares):.1f} %)."
    )
    constant = sum(share < NEARLY_CONSTANT for share in shares)
    if constant:
        which = "all of them" if constant == len(shares) else f"{constant} of them"
        words += (
            f" In {which} it is under {100 * NEARLY_CONSTANT:g} %, nearly a constant weight: what "
            "they gain, another fixed `soft.weight` may gain too (compare `merit_matched`)."
        )
    return [words]


def _samples(summary: Summary) -> list[str]:
    best = summary.best
    if best is None:
        return []
    n, accuracy = best.metrics.get("n"), best.metrics.get("accuracy")
    if not n or accuracy is None:
        return []
    conditions, low, high = (best.metrics.get(name) for name in ("conditions", "low", "high"))
    if conditions and low is not None and high is not None:
        # A selector's accuracy is a mean over conditions on the same samples.
        return [
            f"Val has {n:,} samples, each measured in {counted(conditions, 'condition')}: an "
            f"accuracy of {100 * accuracy:.2f} % over all of them has a 95 % interval of "
            f"{100 * low:.2f} to {100 * high:.2f} %, which counts samples and not conditions. All "
            "arms are measured on the same samples, so differences between them vary less."
        ]
    error = 100 * math.sqrt(accuracy * (1 - accuracy) / n)
    return [
        f"Val has {n:,} samples: an accuracy of {100 * accuracy:.2f} % on it has a binomial "
        f"standard error of {error:.2f} points. All arms are measured on the same samples, so "
        "differences between them vary less."
    ]


_BLOCKS = ("optimizer", "epochs", "soft", "augment", "keep")


def gather_fixed(record: RunRecord) -> tuple[str, ...]:
    """The space's own words first, then what its anchor shows beyond the holes."""
    found = []
    heading = record.heading
    if heading.fixed:
        found.append(f"Fixed by the space: {_closed(heading.fixed)}")
    if heading.nuisance:
        found.append(f"Nuisance parameters: {_closed(heading.nuisance)}")
    expanded = _example(record)
    if expanded is None:
        return tuple(found)
    found.append(_data(expanded))
    holes = [hole.name for hole in record.space.holes] if record.space is not None else []
    delivered = expanded.stage(expanded.deliver)
    cost = record.space.search.equal_cost if record.space is not None else False
    for block in _BLOCKS:
        is_hole = any(_touches(name, block) for name in holes)
        words = _one_cost(cost) if block == "epochs" and cost else _words(delivered, block)
        if words and not is_hole:
            found.append(words)
    return tuple(found)


def _closed(text: str) -> str:
    return text if text.endswith(".") else text + "."


def _example(record: RunRecord) -> Expanded | None:
    """The anchor, or without a space the first trial's schedule."""
    try:
        if record.space is not None:
            return expand(record.space.anchor())
        for trial in record.search_trials():
            return expand(parse_schedule(trial.asked.schedule))
    except DmtSearchError:
        return None
    return None


def _touches(hole: str, block: str) -> bool:
    """Whether a hole is in `block` of some stage, or is the block."""
    parts = hole.replace("[", ".").split(".")
    return block in parts


def _data(expanded: Expanded) -> str:
    data = expanded.data
    splits = [
        f"{split} {value:,}" if isinstance(value, int) else f"{split} {100 * value:g} %"
        for split, value in (("train", data.train), ("val", data.val), ("test", data.test))
        if value is not None
    ]
    size = f" ({', '.join(splits)})" if splits else ""
    return (
        f"One data set, {data.name or data.factory}{size}, split once (split_seed "
        f"{data.split_seed})."
    )


def _one_cost(cost: int | bool) -> str:
    """At equal cost the delivered stage's epochs follow from the cost, whatever is written."""
    size = "" if cost is True else f", {amount(cost)} sample-MACs"
    return f"One cost for every schedule{size}: at another the order may be another."


def _words(stage: Stage, block: str) -> str | None:
    """A sentence on a block of the delivered stage; None where there is nothing to say."""
    name = stage.name
    if block == "optimizer":
        rate = stage.optimizer
        return (
            f"One optimizer for {name}: {rate.name}, learning rate {rate.lr:g} "
            f"({rate.schedule}), batch {rate.batch}. A schedule that needs another rate is at a "
            "disadvantage."
        )
    if block == "epochs":
        return (
            f"{counted(stage.epochs, 'epoch')} for {name}: longer training may change the order."
        )
    if block == "soft" and stage.soft is not None:
        return (
            f"Soft targets of {name} at temperature {stage.soft.temperature:g}, weight "
            f"{stage.soft.weight:g}."
        )
    if block == "augment":
        return f"Augmentation: {stage.augment}."
    if block == "keep":
        if stage.keep == "last":
            return f"Of {name}, the last epoch is kept."
        return (
            f"Of {name}, the epoch with the highest val accuracy is kept: val both chooses and "
            "scores it, and is too good by more in longer trainings (see “Search beside control "
            "arms”)."
        )
    return None


def caveats_section(summary: Summary) -> Section:
    """What limits what the report says."""
    return Section("caveats", "Caveats", (Items(caveats(summary)),))
