"""Which holes mattered, by Optuna's two measures, from the study's journal."""

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dmtsearch.engine.run_paths import RunPaths
from dmtsearch.files import read_regular
from dmtsearch.human import counted
from dmtsearch.reporting.canvas import INK, MUTED, OTHER, SEARCH, Drawing, draw, only_vertical
from dmtsearch.reporting.layout import Block, Section, Text, figures
from dmtsearch.reporting.measures import measure_of
from dmtsearch.reporting.run_record import RunRecord

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial
from matplotlib.figure import Figure

MIN_TRIALS = 20
"""Under so many finished trials an importance is mostly noise, and is not shown."""

MOST_BYTES = 1 << 30
"""Of the study's journal."""

PARTS = 5
"""Importances are computed again with each of so many parts of the trials left out."""


@dataclass(frozen=True)
class HoleImportance:
    """How much one hole mattered; shares of all holes, which add up to 1 for each measure.

    Attributes:
        name: Of the hole.
        ped: By PED-ANOVA: how far its values in the best trials differ from those in all.
        ped_range: Smallest and largest when each fifth of the trials is left out in turn.
        fanova: By fANOVA: its share of the objective's variance; None for a hole that is not
            in every trial, or where scikit-learn is missing.
        fanova_range: Of it, as `ped_range`.
    """

    name: str
    ped: float
    ped_range: tuple[float, float]
    fanova: float | None
    fanova_range: tuple[float, float] | None


@dataclass(frozen=True)
class Importance:
    """Importances, or why there are none.

    Attributes:
        objective: What the holes matter to: the main objective, or where that is not the study's
            the study's first.
        holes: Most important by PED-ANOVA first; empty where there are none.
        n: Trials of the study that were used.
        quantile: Share of the trials that PED-ANOVA calls the best.
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
        than 50 trials. Hutter et al., "An Efficient Approach for Assessing Hyperparameter
        Importance", ICML 2014 (fANOVA).
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
    from optuna.importance import PedAnovaImportanceEvaluator

    quantile = max(0.1, 5 / len(trials))
    ped, ped_ranges = _with_ranges(
        trials,
        direction,
        lambda study: _shares(
            PedAnovaImportanceEvaluator(target_quantile=quantile).evaluate(study)
        ),
    )
    fanova, fanova_ranges = _with_ranges(trials, direction, _fanova)
    names = sorted(ped, key=lambda name: (-ped[name], name))
    holes = tuple(
        HoleImportance(
            name, ped[name], ped_ranges[name], fanova.get(name), fanova_ranges.get(name)
        )
        for name in names
    )
    return Importance(objective, holes, len(trials), quantile, None)


def _fanova(study: "Study") -> dict[str, float]:
    """fANOVA of the holes that every trial has; {} where there is none."""
    from optuna.importance import FanovaImportanceEvaluator

    try:
        return _shares(FanovaImportanceEvaluator(seed=0).evaluate(study))
    except ImportError:
        return {}


def _shares(found: Mapping[str, float]) -> dict[str, float]:
    total = sum(found.values())
    return {name: value / total if total else 1 / len(found) for name, value in found.items()}


def _with_ranges(
    trials: "Sequence[FrozenTrial]",
    direction: str,
    evaluate: "Callable[[Study], dict[str, float]]",
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """The measure on all trials, and its range with each part of them left out in turn."""
    whole = _on_study(trials, direction, evaluate)
    parts = [
        _on_study(
            [trial for index, trial in enumerate(trials) if index % PARTS != part],
            direction,
            evaluate,
        )
        for part in range(PARTS)
    ]
    ranges = {}
    for name in whole:
        # A hole may be missing once the few trials that have it are left out: no share then.
        values = [part.get(name, 0.0) for part in parts]
        ranges[name] = (min(values), max(values))
    return whole, ranges


def _on_study(
    trials: "Sequence[FrozenTrial]",
    direction: str,
    evaluate: "Callable[[Study], dict[str, float]]",
) -> dict[str, float]:
    from optuna import logging
    from optuna.study import create_study

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        study = create_study(direction="maximize" if direction == "max" else "minimize")
        study.add_trials(trials)
        with warnings.catch_warnings():
            # Optuna warns where all trials are equally good; the equal shares then say so.
            warnings.simplefilter("ignore", UserWarning)
            return evaluate(study)
    finally:
        logging.set_verbosity(before)


def importance_section(found: Importance) -> Section:
    """Optuna's importances, or why there are none."""
    blocks: list[Block] = []
    if found.missing is not None:
        blocks.append(Text(f"There is no importance here: {found.missing}."))
    elif not found.holes:
        blocks.append(Text("There is no importance here: the study's trials have no parameters."))
    else:
        blocks.append(
            Text(f"Which holes mattered for {measure_of(found.objective).label}, by Optuna.")
        )
    blocks += figures([draw_importance(found)])
    return Section("importance", "Which holes mattered", tuple(blocks))


def draw_importance(importance: Importance) -> Drawing | None:
    """Two bars a hole where both measures know it; None where there is no importance."""
    holes = importance.holes
    if not holes:
        return None
    both = any(hole.fanova is not None for hole in holes)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        height = 0.32 if both else 0.6
        for row, hole in enumerate(holes):
            has_both = hole.fanova is not None
            bars = [(hole.ped, hole.ped_range, SEARCH, -height / 2 if has_both else 0.0)]
            if hole.fanova is not None and hole.fanova_range is not None:
                bars.append((hole.fanova, hole.fanova_range, OTHER, height / 2))
            for value, (low, high), colour, offset in bars:
                at = row + offset
                axes.barh(at, 100 * value, height=height * 0.86, color=colour, zorder=2)
                axes.plot([100 * low, 100 * high], [at, at], color=INK, linewidth=1, zorder=3)
        axes.set_yticks(range(len(holes)), [hole.name for hole in holes])
        for text in axes.get_yticklabels():
            text.set_color(INK)
        axes.set_ylim(len(holes) - 0.4, -0.6)
        axes.set_xlim(left=0)
        axes.set_xlabel("share of importance (%)")
        only_vertical(axes)
        if both:
            axes.barh([0], [0], color=SEARCH, label="PED-ANOVA")
            axes.barh([0], [0], color=OTHER, label="fANOVA (holes of every trial)")
            axes.legend(
                ncols=2, loc="lower left", bbox_to_anchor=(-0.01, 1.0), handlelength=1.2,
                labelcolor=MUTED,
            )  # fmt: skip

    shown = ", ".join(f"{hole.name} {100 * hole.ped:.0f} %" for hole in holes[:5])
    return draw(
        "importance",
        paint,
        size=(560, 74 + 21 * len(holes)),
        alt=f"Bars of importance by PED-ANOVA, the largest first: {shown}.",
        caption=(
            f"n = {importance.n} finished draws of the study (a schedule drawn again counts "
            "again). Dark lines: the range when each "
            "fifth of the trials is left out in turn. PED-ANOVA "
            f"asks which holes set the best {100 * importance.quantile:.0f} % of them apart; "
            "fANOVA which holes explain the variance of all. The shares of each "
            "measure add up to 100 %. Both describe this search, whose sampler did not try all "
            "values equally often."
        ),
    )
