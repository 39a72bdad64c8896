"""The first screen in words: the answer, four numbers beside it, and the commands to give."""

from collections.abc import Mapping, Sequence

from dmtsearch.engine.run_paths import RunPaths
from dmtsearch.engine.run_tables import is_confirmed
from dmtsearch.engine.selector_scores import RULE_WORDS, method_of
from dmtsearch.evidence import Verdict
from dmtsearch.human import amount, command_line, counted, duration, listed, percent, points
from dmtsearch.reporting.best_schedule import BestSchedule
from dmtsearch.reporting.confirmation import CHOSEN, Found, plan_words
from dmtsearch.reporting.control_arms import ArmRuns
from dmtsearch.reporting.findings import Summary
from dmtsearch.reporting.layout import Command, Fact
from dmtsearch.reporting.measures import measure_of, show
from dmtsearch.reporting.recommended import Recommended, in_short, size_words
from dmtsearch.reporting.selector_section import (
    chosen_words,
    comparison_words,
    instead_words,
)


def answer(summary: Summary) -> str:
    """What the run says about its question, in one paragraph."""
    return " ".join(sentences(summary))


def sentences(summary: Summary) -> tuple[str, ...]:
    """The verdict first, or what is best by val until there is one; then what belongs to it."""
    notes = summary.confirmation.notes
    found = summary.confirmation.found
    if found is not None:
        return (*_confirmed(summary, found), *notes)
    if summary.recommended is None:
        return (_no_answer(summary), *notes)
    return (*_by_val(summary, summary.recommended), *notes)


def _no_answer(summary: Summary) -> str:
    total = sum(summary.states.values())
    if not total:
        return "There is no answer yet: no trial of the search has started."
    parts = _others(summary.states)
    words = [
        f"There is no answer: of {counted(total, 'trial')} none has finished with a value "
        f"({', '.join(parts) or 'all done, without the objective'})."
    ]
    causes = summary.failures.causes
    if causes:
        is_all = len(causes[0].trials) == total
        start = "All failed for one reason" if is_all else "The most frequent cause"
        words.append(f"{start}: {causes[0].reason.rstrip('.')}.")
    return " ".join(words)


def _others(states: Mapping[str, int]) -> list[str]:
    """What became of the trials that are not done: `5 pruned`, `3 failed`."""
    return [f"{number} {state}" for state, number in states.items() if number and state != "done"]


# -- before a confirmation ----------------------------------------------------------------------


def _by_val(summary: Summary, found: Recommended) -> list[str]:
    best, label = summary.best, measure_of(summary.main).label
    who = f"the control arm {found.name}" if found.is_control else found.name
    samples = f"n = {found.n:,} val samples, " if found.n else ""
    words = [
        f"Not confirmed: by {label} {who} is best with {show(summary.main, found.value)} "
        f"({samples}{_seeds(found.seeds)}), with {size_words(found)}."
    ]
    if best is None:
        words.append("No trial of the search has finished.")
    elif found.is_control:
        words.append(
            f"The best trial of the search, trial {best.trial}, has "
            f"{show(summary.main, best.value)} (one seed) with a model of the same size, "
            f"{_cost(best.cold_cost, found.asked.cold_cost)}."
        )
    elif summary.selector is None or summary.selector.comparison is None:
        words.append(_nearest(summary, best))
    if summary.selector is not None:
        words += [beside] if (beside := comparison_words(summary.selector)) is not None else []
    if best is not None:
        words += _other_sizes(summary, best)
    if len(summary.record.objectives) > 1:
        words.append(
            f"Of {len(summary.record.objectives)} objectives this compares {label} alone; the "
            "front has the others."
        )
    begun = plan_words(summary.confirmation)
    command = confirm_command(summary)
    if begun is not None:
        words.append(f"{begun} Go on with: {command}")
    elif can_confirm(summary):
        words.append(
            "The samples that chose it also measured it; for a verdict on fresh seeds and the "
            f"test split: {command}"
        )
    return words


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"mean of {count} seeds"


def _nearest(summary: Summary, best: BestSchedule) -> str:
    if not any(arm.name != "search" for arm in summary.arms):
        return "No control arm was run, so there is nothing to compare it with."
    arm = _best_arm(same_size(summary), summary.direction)
    if arm is None or arm.spread is None:
        return "No control arm with a model of its size has finished, so it is compared with none."
    return (
        f"The best control arm with a model of the same size, {arm.name}, has "
        f"{show(summary.main, arm.spread.mean)} ({_seeds(arm.spread.n)}), "
        f"{_cost(arm.cold_cost[0], best.cold_cost)}."
    )


def same_size(summary: Summary) -> tuple[ArmRuns, ...]:
    """Finished control arms that deliver a model of the best trial's size; of any without one."""
    return tuple(
        arm
        for arm in summary.arms
        if arm.name != "search"
        and arm.spread is not None
        and (summary.best is None or arm.params == (summary.best.params, summary.best.params))
    )


MOST_NAMED = 3
"""Control arms of other sizes; of more, only the sizes are named."""


def _best_arm(arms: Sequence[ArmRuns], direction: str) -> ArmRuns | None:
    sign = 1.0 if direction == "max" else -1.0
    known = [arm for arm in arms if arm.spread is not None]
    return max(known, key=lambda arm: sign * (arm.spread.mean if arm.spread else 0), default=None)


def _cost(cost: int, other: int) -> str:
    """A cost beside another: `at the same training cost`, `at 2.3 times its training cost`."""
    share = cost / other if other else 1.0
    if 0.95 <= share <= 1.05:
        return "at the same training cost"
    return f"at {share:.2g} times the training cost"


def _other_sizes(summary: Summary, best: BestSchedule) -> list[str]:
    same = same_size(summary)
    others = [
        arm
        for arm in summary.arms
        if arm.name != "search" and arm not in same and arm.spread is not None
    ]
    if not others:
        return []
    if len(others) > MOST_NAMED:
        sizes = dict.fromkeys(amount(arm.params[0]) for arm in others)
        named = f"those with {listed(list(sizes))} parameters"
    else:
        named = listed([f"{arm.name} ({amount(arm.params[0])})" for arm in others])
    return [
        f"Trial {best.trial} delivers {best.params:,} parameters; control arms of other sizes "
        f"are not compared with it: {named}."
    ]


# -- after a confirmation -----------------------------------------------------------------------


def _confirmed(summary: Summary, found: Found) -> list[str]:
    words = []
    best = summary.recommended
    if best is not None and best.is_confirmed:
        words.append(_in_plain_words(best, found))
    numbers = summary.confirmation.sentence
    if words:
        numbers = numbers.removeprefix("Yes: ").removeprefix("No: ")
        if numbers.startswith(("the ", "a ")):  # an arm's name stays as it is written
            numbers = f"{numbers[0].upper()}{numbers[1:]}"
    words.append(numbers)
    chosen = next(t for t in summary.record.trials if t.asked.trial == found.chosen.trial)
    if summary.selector is not None:
        words += chosen_words(chosen, found, summary.confirmation.effects)
    else:
        short = in_short(chosen.asked.schedule)
        what = f"The chosen schedule is trial {found.chosen.trial}"
        what += f" ({short})" if short else ""
        words.append(f"{what}: {percent(found.chosen.accuracy)} on test.")
    if best is not None and best.is_confirmed and best.is_control and found.equal_cost:
        words.append(f"Train {best.name}, {percent(best.value)} on test: {size_words(best)}.")
    if found.equal_cost:
        words += _unspent(summary)
    if not found.over:
        words.append(f"The plan goes on: {confirm_command(summary)}")
    return words


_INSTEAD = {
    "scratch_long": "train the small model on the labels alone, for longer",
    "direct_long": "train the small model from the first one directly, for longer",
    "best_direct": "train the small model from the first one directly, with better soft targets",
}
_BUT = {
    Verdict.LOSES: "was worse",
    Verdict.TIES: "was no better",
    Verdict.UNDECIDED: "was not shown to be better",
}


def _in_plain_words(best: Recommended, found: Found) -> str:
    """What to do, for a reader who stops here."""
    if not found.equal_cost:
        return instead_words(found, _BUT.get(found.verdict, "is not"))
    if not best.is_control:
        what = in_short(best.schedule) or best.name
        least = min(found.controls, key=lambda one: one.difference)
        return (
            f"Yes: {what}; {points(least.difference)} over the best control at the same training "
            f"cost, with {size_words(best)}."
        )
    instead = _INSTEAD.get(best.name, f"train the control arm {best.name}")
    return f"No: {instead}; the best schedule of the search {_BUT.get(found.verdict, 'is not')}."


def _unspent(summary: Summary) -> list[str]:
    """Where costs are not equal after all: an epoch may be too dear to fill what is left."""
    costs = {arm: path.asked.cold_cost for arm, path in summary.confirmation.paths.items()
             if arm in tested_arms(summary)}  # fmt: skip
    most = max(costs.values(), default=0)
    less = [
        f"{arm_name(summary, arm)} {100 * cost / most:.0f} %"
        for arm, cost in costs.items()
        if cost < 0.95 * most
    ]
    if not less:
        return []
    return [
        f"Costs are not equal, since epochs are whole: of the dearest arm's cost {listed(less)}."
    ]


def tested_arms(summary: Summary) -> tuple[str, ...]:
    """`chosen` and the controls that the last look compared."""
    found = summary.confirmation.found
    return () if found is None else (CHOSEN, *(one.arm for one in found.controls))


def arm_name(summary: Summary, arm: str) -> str:
    """An arm of the confirmation as a page calls it: `trial 7`, `direct_long`."""
    found = summary.confirmation.found
    return f"trial {found.chosen.trial}" if found is not None and arm == CHOSEN else arm


# -- tiles and commands -------------------------------------------------------------------------


def facts(summary: Summary) -> tuple[Fact, ...]:
    """Accuracy, size and latency, cost to train, how sure; none where nothing finished."""
    best = summary.recommended
    if best is None:
        return ()
    return (_score(summary, best), _size(best), _price(summary, best), _how_sure(summary))


def _score(summary: Summary, best: Recommended) -> Fact:
    if best.is_confirmed:
        n = f"{best.n:,} test samples" if best.n else "test"
        return Fact(
            "Accuracy", percent(best.value), f"{best.name}, {n}, mean of {best.seeds} seeds"
        )
    n = f"{best.n:,} val samples, " if best.n else ""
    label = measure_of(summary.main).label
    return Fact(
        label[0].upper() + label[1:],
        show(summary.main, best.value),
        f"{best.name}, {n}{_seeds(best.seeds)}",
    )


def _size(best: Recommended) -> Fact:
    time, device = best.latency.get("median_ms"), best.latency.get("device")
    note = "parameters"
    if isinstance(time, int | float):
        note += f"; {time:.2g} ms a sample" + (f" on {device}" if device else "")
    return Fact("Size and latency", amount(best.params), note)


def _price(summary: Summary, best: Recommended) -> Fact:
    prices = summary.prices
    cost, more = best.asked.cold_cost, ""
    if prices is not None and prices.given != prices.trained:
        cost, more = prices.trained, f"; {prices.other}"
    if not best.seconds:
        note = f"sample-MACs; time not measured{more}"
        return Fact("Cost to train", amount(cost), note)
    note = f"as measured; {amount(cost)} sample-MACs{more}"
    return Fact("Cost to train", duration(best.seconds), note)


def _how_sure(summary: Summary) -> Fact:
    found = summary.confirmation.found
    if found is None:
        return Fact("How sure", "not confirmed", "chosen and measured on the same val samples")
    better = [one for one in found.controls if one.verdict == "LOSES"]
    nearest = min(better or found.controls, key=lambda one: one.difference)
    share, interval = found.confidence, nearest.interval
    if better:
        share, interval = 0.9, nearest.interval_90
    low, high = (points(end).removesuffix(" points") for end in interval)
    return Fact(
        "How sure",
        _SURE[found.verdict] if found.over or found.verdict is not Verdict.UNDECIDED else "open",
        f"{found.verdict}: {points(nearest.difference)} beside {nearest.arm} "
        f"({100 * share:.0f} % {low} to {high}), n = {found.n} "
        + ("seeds" if found.students == 1 else "teachers"),
    )


_SURE = {
    Verdict.BEATS: "confirmed",
    Verdict.LOSES: "refuted",
    Verdict.TIES: "a tie",
    Verdict.UNDECIDED: "undecided",
}


def commands(summary: Summary) -> tuple[Command, ...]:
    """What to run now, in order; none where nothing finished."""
    best = summary.recommended
    if best is None:
        return ()
    found, root = summary.confirmation.found, summary.record.root
    out = f"out/{root.resolve().name}"
    wanted = []
    if can_confirm(summary) and (found is None or not found.over):
        wanted.append(Command("Confirm it first", confirm_command(summary)))
    paths = RunPaths(root)
    file, source = paths.recommended, root
    if not file.is_file() or is_confirmed(file) != best.is_confirmed:
        if best.is_control:
            return tuple(wanted)
        source = paths.best_schedule
    rule = found is not None and method_of(best.name) in RULE_WORDS
    what = "its classifiers" if rule else best.name
    wanted.append(Command(f"Train {what}", command_line("train", source, "--out", out)))
    if rule:  # what is exported decides by the selector
        return tuple(wanted)
    wanted.append(Command("Export it", command_line("export", out, "--format", "onnx")))
    return tuple(wanted)


def can_confirm(summary: Summary) -> bool:
    """Whether there is a trial to confirm."""
    return summary.best is not None


def confirm_command(summary: Summary) -> str:
    """What gives a verdict, or goes on with it."""
    return command_line("confirm", summary.record.root)
