"""Both prices of the recommended schedule, and for how many students its first model pays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from dmtsearch.engine.ledger_lines import StageEnded, TrialProposed
from dmtsearch.engine.messages import SEARCH
from dmtsearch.engine.run_summary import delivered_model, prices_of
from dmtsearch.errors import DmtSearchError
from dmtsearch.evidence import break_even, epochs_to_reach
from dmtsearch.human import amount, counted, duration, percent
from dmtsearch.reporting.confirmation import ConfirmFindings
from dmtsearch.reporting.measures import show
from dmtsearch.reporting.recommended import Recommended
from dmtsearch.reporting.run_record import RunRecord
from dmtsearch.schedule import expand, parse_schedule

Run = tuple[TrialProposed, StageEnded]
"""A run, and how its delivered stage ended."""
LABELS_ALONE = ("scratch_long", "scratch")
"""Control arms from labels alone, the longest first."""


@dataclass(frozen=True)
class Prices:
    """What a schedule costs, in sample-MACs.

    Attributes:
        trained: With its first model's training.
        given: Without it, as where there is a first model already.
        students: From so many students of one first model on it costs less than training each
            from labels to its accuracy on val; None where that is not so, or cannot be told.
        words: The same as a sentence, or why it cannot be told; empty of a selector.
    """

    trained: int
    given: int
    students: int | None
    words: str

    @property
    def other(self) -> str:
        """The price beside the one with training: `5.1 G where the first model is given`."""
        return f"{amount(self.given)} where the first model is given"


def gather_prices(
    record: RunRecord, confirmation: ConfirmFindings, found: Recommended | None
) -> Prices | None:
    """Prices of what is recommended; None where nothing is.

    Learning curves are those of the confirmation's replicates, else of the search's runs.
    """
    if found is None:
        return None
    trained, given = prices_of(found.asked)
    if _is_selector(found.asked):
        return Prices(trained, given, None, "")
    if len(found.asked.stages) == 1:
        words = "It learns from labels alone: there is no first model to pay for."
        return Prices(trained, given, None, words)
    confirmed = {name: path.runs for name, path in confirmation.paths.items()}
    searched = _searched(record)
    runs = confirmed if found.is_confirmed and found.asked.arm in confirmed else searched
    # Of the search only the trial itself; of a control or a replicate all seeds.
    own = [
        run
        for run in runs.get(found.asked.arm, ())
        if (run[0] == found.asked if found.asked.arm == SEARCH else _same(run, found))
    ]
    alone = _labels_alone(runs, found) or _labels_alone(searched, found)
    students, words = _compared(trained - given, given, own, alone)
    return Prices(trained, given, students, words)


def cost_words(prices: Prices | None, found: Recommended | None) -> str:
    """What training it again takes, and for how many students its first model pays."""
    if prices is None or found is None:
        return ""
    return (
        f"To run it again from nothing takes {both_prices(prices, found)}. {prices.words}".strip()
    )


def both_prices(prices: Prices, found: Recommended) -> str:
    """What training it takes, wall-clock where it is known, and what without its first model."""
    words = show("cold_cost", prices.trained)
    words += f", about {duration(found.seconds)} as measured" if found.seconds else ""
    return f"{words}; {prices.other}" if prices.given != prices.trained else words


def _searched(record: RunRecord) -> dict[str, Sequence[Run]]:
    found: dict[str, list[Run]] = {}
    for trial in record.trials:
        ended = record.stages.get(trial.asked.key)
        if trial.status == "done" and ended is not None:
            found.setdefault(trial.asked.arm, []).append((trial.asked, ended))
    return dict(found)


def _same(run: Run, found: Recommended) -> bool:
    return delivered_model(run[0]) == delivered_model(found.asked)


def _is_selector(asked: TrialProposed) -> bool:
    try:
        whole = expand(parse_schedule(asked.schedule))
    except DmtSearchError:
        return False
    return whole.stage(whole.deliver).learns_from == "selector"


def _labels_alone(runs: Mapping[str, Sequence[Run]], found: Recommended) -> Sequence[Run]:
    for name in LABELS_ALONE:
        same = [run for run in runs.get(name, ()) if _same(run, found)]
        if same and all(_curve(run) for run in same):
            return same
    return ()


def _curve(run: Run) -> list[float]:
    """Val accuracy by epoch, after the hint phase; [] where it was never measured.

    An epoch that was not validated has the value of the one before that was, or 0.
    """
    rows = [row for row in run[1].history if row.get("phase") != "hint"]
    if all(row.get("val_accuracy") is None for row in rows):
        return []
    values: list[float] = []
    for row in rows:
        value = row.get("val_accuracy")
        values.append((values[-1] if values else 0.0) if value is None else float(value))
    return values


def _compared(
    teacher: int, student: int, own: Sequence[Run], alone: Sequence[Run]
) -> tuple[int | None, str]:
    """From how many students on a schedule costs less, and the sentence of it."""
    unknown = "For how many students its first model pays cannot be told"
    scores = [run[1].metrics.get("accuracy") for run in own]
    reached = [float(score) for score in scores if score is not None]
    if not alone or not reached:
        return None, f"{unknown}: no run from labels alone delivers this model."
    goal, arm = fmean(reached), alone[0][0].arm
    curves = [_curve(run) for run in alone]
    epochs, n = epochs_to_reach(curves, goal), counted(len(alone), "seed")
    if epochs is None:
        most = max(map(fmean, zip(*curves, strict=False)))
        return None, (
            f"{unknown}: from labels alone ({arm}, n = {n}) its val accuracy of {percent(goal)} "
            f"is not reached in {counted(min(map(len, curves)), 'epoch')}, at most "
            f"{percent(most)}."
        )
    last = alone[0][0].stages[-1]
    price = round(last.cost * epochs / last.epochs)
    students = break_even(teacher, student, price)
    by = (
        f"its val accuracy of {percent(goal)} takes {counted(epochs, 'epoch')} and "
        f"{amount(price)} sample-MACs a student from labels alone ({arm}, n = {n}), and "
        f"{amount(student)} a student beside the first model"
    )
    if students is None:
        return None, f"However many students one first model has, it does not cost less: {by}."
    who = "one student" if students == 1 else f"{students:,} students of one first model"
    return students, f"From {who} on it costs less than labels alone: {by}."
