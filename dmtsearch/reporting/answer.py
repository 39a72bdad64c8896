"""The answer in one paragraph, in plain English; no verdict, since a search cannot give one."""

from collections.abc import Mapping

from dmtsearch.human import amount, counted, listed
from dmtsearch.reporting.best_schedule import BestSchedule
from dmtsearch.reporting.findings import Summary
from dmtsearch.reporting.layout import Fact
from dmtsearch.reporting.measures import difference, measure_of, show


def answer(summary: Summary) -> str:
    """What the run says about its question: the best value beside what chance would show."""
    if summary.best is None:
        return _no_answer(summary)
    return " ".join(
        [_best(summary, summary.best), _controls(summary), *_chance(summary, summary.best)]
    )


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


def _best(summary: Summary, best: BestSchedule) -> str:
    n = best.metrics.get("n")
    samples = f"n = {n:,} val samples, one seed" if n is not None else "one seed"
    return (
        f"Of {counted(summary.finished, 'finished trial')}, trial {best.trial} has the best "
        f"{measure_of(summary.main).label}: {show(summary.main, best.value)} ({samples}), with "
        f"{best.params:,} parameters."
    )


def _controls(summary: Summary) -> str:
    ruler = summary.ruler
    if ruler is None:
        return (
            "There is no noise ruler: neither control arm (scratch, direct) has finished with two "
            "seeds, so nothing here says how much of a difference is chance."
        )
    parts = []
    for name, arm in ruler.arms.items():
        sd = difference(summary.main, arm.sd or 0.0)
        parts.append(f"{name} reaches {show(summary.main, arm.mean)} (sd {sd}, n = {arm.n} seeds)")
    return f"Of the control arms with several seeds, {listed(parts)}."


def _chance(summary: Summary, best: BestSchedule) -> list[str]:
    """What the best of N equal trials would show, and that none of this is a verdict."""
    words = []
    ruler, equal = summary.ruler, summary.equal
    if ruler is not None and equal is not None:
        words.append(
            f"If all {counted(equal.n, 'trial')} were in truth as good as {ruler.level_arm} and "
            f"differed by chance alone (pooled sd {difference(summary.main, ruler.sd)}, "
            f"{ruler.n} runs), the best of them would show {show(summary.main, equal.expected)} "
            f"on average, and {show(summary.main, equal.extreme)} or more extreme in one of "
            f"twenty searches; the value found differs from that average by "
            f"{difference(summary.main, best.value - equal.expected, signed=True)}."
        )
    words.append(
        "This is no verdict: the samples that chose the trial also measured it, once. Only "
        "retraining it and its controls on fresh seeds can give one."
    )
    return words


def facts(summary: Summary) -> tuple[Fact, ...]:
    """Up to five numbers that belong beside the answer."""
    best, ruler, equal = summary.best, summary.ruler, summary.equal
    found = []
    if best is not None:
        n = best.metrics.get("n")
        samples = f", n = {n:,}" if n is not None else ""
        note = f"{measure_of(summary.main).label}, trial {best.trial}, one seed{samples}"
        found.append(Fact("Best value", show(summary.main, best.value), note))
    if equal is not None and ruler is not None:
        note = f"expected if all {equal.n} were like {ruler.level_arm}"
        label = f"Best of {equal.n} equal trials"
        found.append(Fact(label, show(summary.main, equal.expected), note))
    if ruler is not None:
        note = f"sd of equal runs, n = {ruler.n}, ±{100 * ruler.uncertainty:.0f} % uncertain"
        found.append(Fact("Noise ruler", difference(summary.main, ruler.sd), note))
    states = summary.states
    wanted = f"of {summary.wanted:,} wanted" if summary.wanted is not None else "so far"
    note = "; ".join(part for part in (wanted, ", ".join(_others(states))) if part)
    found.append(Fact("Trials done", f"{states['done']:,}", note))
    cost = summary.sharing.cost
    if cost.asked:
        note = f"of the {amount(cost.asked)} sample-MACs requested"
        found.append(Fact("Cost run", f"{100 * cost.share(cost.run):.0f} %", note))
    return tuple(found)
