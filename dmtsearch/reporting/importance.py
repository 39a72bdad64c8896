"""Which holes mattered, beside what the same measure says of values that were shuffled."""

import math
import random
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from dmtsearch.engine.run_paths import RunPaths
from dmtsearch.files import read_regular
from dmtsearch.human import counted, listed
from dmtsearch.reporting.canvas import INK, MUTED, OTHER, SEARCH, Drawing, draw, only_vertical
from dmtsearch.reporting.layout import Block, Section, Text, figures
from dmtsearch.reporting.measures import measure_of
from dmtsearch.reporting.run_record import RunRecord

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial
from matplotlib.figure import Figure

MIN_TRIALS = 20
"""Under so many finished trials an importance is mostly noise, and is not shown."""

MOST_BYTES = 1 << 30
"""Of the study's journal."""

MOST_BARS = 40
"""Of the figure."""

SHUFFLES = 40
"""Importances are computed again with the objective's values shuffled among the trials."""


@dataclass(frozen=True)
class HoleImportance:
    """How much one hole mattered, by PED-ANOVA.

    Attributes:
        name: Of the hole.
        share: How far its values in the best trials differ from those in all; of all holes it
            adds up to 1.
        by_chance: Mean and 95 % quantile of the same with shuffled values, in the same unit.
    """

    name: str
    share: float
    by_chance: tuple[float, float]

    @property
    def is_seen(self) -> bool:
        """Whether shuffled values give as much in under 5 %."""
        return self.share > self.by_chance[1]


@dataclass(frozen=True)
class Importance:
    """Importances, or why there are none.

    Attributes:
        objective: What the holes matter to: the main objective, or where that is not the study's
            the study's first.
        holes: Most important first; empty where there are none.
        n: Trials of the study that were used.
        quantile: Share of the trials that are called the best.
        missing: Why there are none; None where there are.
    """

    objective: str
    holes: tuple[HoleImportance, ...]
    n: int
    quantile: float
    missing: str | None


def gather_importance(record: RunRecord) -> Importance:
    """Compute importances for one objective; never writes to the run folder.

    References:
        Watanabe et al., "PED-ANOVA", IJCAI 2023 (https://arxiv.org/abs/2304.10255); its authors
        ask for at least five best trials, so the share of the best is 10 %, or more for fewer
        than 50 trials.
    """
    names = list(record.objectives)
    objective = record.main if record.main in names else names[0]
    missing, trials = _find_trials(record, names.index(objective))
    if missing is not None:
        return Importance(objective, (), 0, 0.0, missing)
    try:
        return _compute(trials, objective, record.objectives[objective])
    except Exception as error:
        return Importance(objective, (), 0, 0.0, _unreadable(error))


def _find_trials(record: RunRecord, objective: int) -> "tuple[str | None, list[FrozenTrial]]":
    """The study's trials, or first why an importance cannot be had."""
    done = len(record.finished())
    if done < MIN_TRIALS:
        return (
            f"it is computed from {MIN_TRIALS} finished trials on, and there are {done}: with "
            "fewer it would be mostly noise",
            [],
        )
    journal = RunPaths(record.root).journal
    if not journal.is_file():
        return f"the run folder has no {journal.name}, from which it is computed", []
    if not _has_optuna():
        return "optuna is not installed on this machine; `pip install optuna` adds it", []
    try:
        trials = _read_trials(journal, objective)
    except Exception as error:
        return _unreadable(error), []
    if len(trials) < MIN_TRIALS:
        return f"the study's journal holds only {counted(len(trials), 'finished trial')}", []
    return None, trials


def _unreadable(error: Exception) -> str:
    """Why a journal that somebody changed yields nothing: it may break Optuna by any error."""
    return f"study.journal cannot be read ({type(error).__name__}: {error})"


def _has_optuna() -> bool:
    try:
        import optuna  # noqa: F401  # tried here, so that all else renders without it
    except ImportError:
        return False
    return True


def _read_trials(journal: Path, objective: int) -> "list[FrozenTrial]":
    """The study's finished trials, with one objective as their only value.

    The journal is copied first, whole lines only: a search may be appending to it, and Optuna
    would lay a lock file beside it.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.study import get_all_study_names, load_study
    from optuna.trial import TrialState, create_trial

    data = read_regular(journal, most=MOST_BYTES)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / journal.name
        copy.write_bytes(data[: data.rfind(b"\n") + 1])
        storage = JournalStorage(JournalFileBackend(str(copy)))
        names = get_all_study_names(storage)
        if not names:
            return []
        study = load_study(study_name=names[0], storage=storage, sampler=None)
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [
        create_trial(
            params=trial.params, distributions=trial.distributions, value=trial.values[objective]
        )
        for trial in complete
    ]


def _compute(trials: "Sequence[FrozenTrial]", objective: str, direction: str) -> Importance:
    quantile = max(0.1, 5 / len(trials))
    found = _evaluate(trials, direction, quantile)
    total = sum(found.values())
    shuffle = random.Random(0)
    shuffled: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(SHUFFLES):
        values = [trial.value for trial in trials]
        shuffle.shuffle(values)
        again = _evaluate(_with_values(trials, values), direction, quantile)
        for name, others in shuffled.items():
            others.append(again.get(name, 0.0) / total if total else 0.0)
    holes = tuple(
        HoleImportance(
            name,
            found[name] / total if total else 1 / len(found),
            (fmean(others), _quantile(others)) if total else (1 / len(found), 1.0),
        )
        for name, others in shuffled.items()
    )
    ordered = sorted(holes, key=lambda hole: (-hole.share, hole.name))
    return Importance(objective, tuple(ordered), len(trials), quantile, None)


def _quantile(values: Sequence[float]) -> float:
    """The 95 % quantile."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def _with_values(
    trials: "Sequence[FrozenTrial]", values: Sequence[float | None]
) -> "list[FrozenTrial]":
    from optuna.trial import create_trial

    return [
        create_trial(params=trial.params, distributions=trial.distributions, value=value)
        for trial, value in zip(trials, values, strict=True)
    ]


def _evaluate(
    trials: "Sequence[FrozenTrial]", direction: str, quantile: float
) -> dict[str, float]:
    from optuna import logging
    from optuna.importance import PedAnovaImportanceEvaluator
    from optuna.study import create_study

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        study = create_study(direction="maximize" if direction == "max" else "minimize")
        study.add_trials(trials)
        with warnings.catch_warnings():
            # Optuna warns where all trials are equally good; the equal shares then say so.
            warnings.simplefilter("ignore", UserWarning)
            return PedAnovaImportanceEvaluator(target_quantile=quantile).evaluate(study)
    finally:
        logging.set_verbosity(before)


def importance_section(found: Importance) -> Section:
    """The importances beside those by chance, or why there are none."""
    blocks: list[Block] = []
    if found.missing is not None:
        blocks.append(Text(f"There is no importance here: {found.missing}."))
    elif not found.holes:
        blocks.append(Text("There is no importance here: the study's trials have no parameters."))
    else:
        seen = [hole.name for hole in found.holes if hole.is_seen]
        words = (
            f"More than shuffled values give in 95 %: {listed(seen)}."
            if seen
            else "No hole is above what shuffled values give in 95 %."
        )
        blocks.append(
            Text(f"Which holes mattered for {measure_of(found.objective).label}. {words}")
        )
    blocks += figures([draw_importance(found)])
    return Section("importance", "Which holes mattered", tuple(blocks))


def draw_importance(importance: Importance) -> Drawing | None:
    """A bar a hole with its value by chance; None where there is no importance."""
    holes = importance.holes[:MOST_BARS]
    if not holes:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        places = range(len(holes))
        colours = [SEARCH if hole.is_seen else OTHER for hole in holes]
        axes.barh(places, [100 * h.share for h in holes], height=0.6, color=colours, zorder=2)
        for place, hole in enumerate(holes):
            mean, high = (100 * value for value in hole.by_chance)
            axes.plot([mean, high], [place, place], color=INK, linewidth=1, zorder=3,
                      label="shuffled: mean to 95 %" if not place else "")  # fmt: skip
            axes.scatter([mean], [place], s=12, color=INK, linewidth=0, zorder=3)
        axes.set_yticks(places, [hole.name for hole in holes])
        for text in axes.get_yticklabels():
            text.set_color(INK)
        axes.set_ylim(len(holes) - 0.4, -0.6)
        axes.set_xlim(left=0)
        axes.set_xlabel("share of importance (%)")
        only_vertical(axes)
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.01, 1.0), handlelength=1.2, labelcolor=MUTED
        )

    shown = ", ".join(
        f"{hole.name} {100 * hole.share:.0f} % (shuffled {100 * hole.by_chance[0]:.0f} %)"
        for hole in holes[:5]
    )
    more = len(importance.holes) - len(holes)
    return draw(
        "importance",
        paint,
        size=(560, 74 + 21 * len(holes)),
        alt=f"Bars of importance by PED-ANOVA, the largest first: {shown}.",
        caption=(
            f"n = {importance.n} finished draws of the study (a schedule drawn again counts "
            f"again). Bars: by PED-ANOVA, which asks what sets the best "
            f"{100 * importance.quantile:.0f} % apart; all add up to 100 %. Lines: the same with "
            f"the values shuffled among the trials, {SHUFFLES} times, mean to 95 %; grey bars are "
            "not above that; one hole in twenty is by chance. The sampler did not try all values "
            "equally often." + (f" {more} further holes are left out." if more else "")
        ),
    )
