"""The confirmation: each control beside the chosen schedule, replicates, power and openings."""

from matplotlib.figure import Figure

from dmtsearch.evidence.words import seeable
from dmtsearch.human import counted, listed, percent, points
from dmtsearch.reporting.answer import arm_name, can_confirm, confirm_command, tested_arms
from dmtsearch.reporting.canvas import (
    CONTROL,
    INK,
    MUTED,
    PHONE,
    SEARCH,
    Drawing,
    draw,
    only_vertical,
)
from dmtsearch.reporting.confirmation import CHOSEN, Found, plan_words
from dmtsearch.reporting.findings import Summary
from dmtsearch.reporting.layout import Block, Code, Items, Section, TableBlock, Text, figures
from dmtsearch.reporting.noise import noise_words

TITLE = "The confirmation"


def confirmation_section(summary: Summary) -> Section:
    """What was tested, on what, and how it came out; before that, how to begin."""
    found = summary.confirmation.found
    blocks: list[Block] = [Text(note) for note in summary.confirmation.notes]
    if found is None:
        how = _SELECTOR if summary.selector is not None else _NETWORK
        blocks.append(Text(plan_words(summary.confirmation) or f"{_NONE} {how}"))
        if can_confirm(summary):
            blocks.append(Code(confirm_command(summary), "console"))
        return Section("confirmation", TITLE, tuple(blocks))
    blocks += [Text(summary.confirmation.sentence), _table(summary, found)]
    blocks += figures([draw_replicates(summary)])
    blocks.append(Items(_facts(summary, found)))
    return Section("confirmation", TITLE, tuple(blocks))


_NONE = (
    "Nothing is confirmed yet: every number of the search was measured on the samples that chose "
    "among its trials."
)

_NETWORK = (
    "A confirmation retrains the best schedule and its controls on fresh seeds at equal cost, and "
    "measures them on the test split."
)

_SELECTOR = (
    "A confirmation retrains the best selector with its classifiers on fresh seeds, and compares "
    "it on the test split, with one modality degraded, with every rule on the same outputs, each "
    "modality alone, and the trials that are best by max-softmax and by the sum rule."
)


_METRIC = (
    " Accuracy: mean over the kinds of degradation that the selector was trained on, at each "
    "severity, with one modality degraded; every method meets the same degraded samples. Costs "
    "are not made equal: a rule needs no selector."
)


def _table(summary: Summary, found: Found) -> TableBlock:
    columns = ("schedule", f"test {found.metric}", "difference",
               f"{100 * found.confidence:.1f} % over all looks", "p", "verdict")  # fmt: skip
    rows = [(arm_name(summary, CHOSEN), percent(found.chosen.accuracy), "", "", "", "")]
    for one in found.controls:
        low, high = (points(end).removesuffix(" points") for end in one.interval)
        rows.append(
            (
                one.arm,
                percent(one.accuracy),
                points(one.difference),
                f"{low} to {high}",
                f"{one.p:.2g}",
                str(one.verdict),
            )
        )
    return TableBlock(
        columns,
        tuple(rows),
        columns[1:5],
        f"n = {found.n} paired replicates on {found.test_n:,} test samples. Difference: "
        f"{arm_name(summary, CHOSEN)} minus the control, in points of accuracy; p of no "
        f"difference, two-sided.{_METRIC if not found.equal_cost else ''}",
    )


def _facts(summary: Summary, found: Found) -> tuple[str, ...]:
    seeds = found.seeds.test
    facts = [
        f"Replicates: {found.n} whole paths an arm, seeds {_span(seeds)}, none of them used in "
        "the search." + (f" The best trials were compared on seeds {_span(found.seeds.choose)}, "
        "by val, and these are not used again." if found.seeds.choose else ""),
    ]  # fmt: skip
    kept = summary.confirmation
    if kept.plans:
        plan = kept.plans[-1]
        facts.append(
            f"Looks planned at {listed([str(n) for n in plan.looks.at])} replicates, before the "
            f"first training; a control is beaten with one-sided p under {plan.looks.bound:.3g} "
            f"at a look (plan {found.plan}, level {plan.looks.level:g})."
        )
    wins = ", ".join(f"{100 * share:.0f} % at {true}" for true, share in found.power.wins.items())
    facts.append(
        f"Power, reckoned before the test split was opened from the spread on val "
        f"({points(found.power.sd_on_val).lstrip('+')}): a true gain over all controls is found "
        f"in {wins}."
    )
    facts.append(
        f"The test split was opened {counted(len(kept.openings), 'time')}, each written down with "
        "plan, replicates and seeds. Differences within "
        f"{points(found.margin).lstrip('+')} are called a tie."
    )
    noise = noise_words(summary)
    if noise is not None:
        facts.append(noise)
    small = seeable(found.test_n, found.chosen.accuracy)
    if small is not None:
        facts.append(small)
    if found.first_model == "given":
        facts.append(
            "The first model was given, so all replicates are students of it: the verdict is for "
            "this teacher alone."
        )
    if found.students > 1:
        facts.append(
            f"Each arm was trained with {found.students} students of each first model (teacher): "
            "a replicate is their mean, and n counts teachers."
        )
    for arm, reason in found.missing_controls.items():
        facts.append(f"There is no control {arm}: {reason}.")
    if found.futile:
        facts.append("It ended early: a win by the margin was out of reach.")
    return tuple(facts)


def _span(seeds: tuple[int, ...]) -> str:
    if len(seeds) > 1 and seeds == tuple(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return listed([str(seed) for seed in seeds])


def draw_replicates(summary: Summary) -> Drawing | None:
    """A line a replicate, from arm to arm; None where the replicates' table cannot be read."""
    arms = tested_arms(summary)
    scores = summary.confirmation.scores
    if not all(scores.get(arm) for arm in arms):
        return None
    seeds = sorted(set.intersection(*(set(scores[arm]) for arm in arms)))
    if not seeds:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for seed in seeds:
            values = [100 * scores[arm][seed] for arm in arms]
            axes.plot(values, range(len(arms)), color=MUTED, linewidth=0.7, alpha=0.6, zorder=2)
        for place, arm in enumerate(arms):
            values = [100 * scores[arm][seed] for seed in seeds]
            colour = SEARCH if arm == CHOSEN else CONTROL
            axes.scatter(values, [place] * len(values), s=18, color=colour, linewidth=0, zorder=3)
            mean = sum(values) / len(values)
            axes.plot([mean, mean], [place - 0.3, place + 0.3], color=INK, linewidth=1.6, zorder=4)
        axes.set_yticks(range(len(arms)), [arm_name(summary, arm) for arm in arms])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(arms) - 0.5, -0.5)
        axes.set_xlabel("test accuracy (%)")
        only_vertical(axes)

    names = listed([arm_name(summary, arm) for arm in arms])
    return draw(
        "replicates",
        paint,
        size=(PHONE, 60 + 26 * len(arms)),
        title="Every replicate",
        alt=f"Test accuracy of {names} in {counted(len(seeds), 'replicate')}, paired by seed.",
        caption="A line joins what one seed gave each schedule; a tick is the mean.",
    )
