"""What a run's ledger says, as files that users and other programs read."""

import csv
import io
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from time import monotonic
from typing import Any

from dmtsearch.files import read_regular, sha256_text, write_atomic, write_json
from dmtsearch.human import command_line

from .confirm_plan import confirm_result
from .ledger import RunState
from .ledger_lines import StageEnded, TrialProposed
from .messages import SEARCH
from .run_paths import RunPaths
from .run_summary import best_trial, delivered_model, pareto_trials, recommended_trial, summarise
from .selector_scores import method_accuracies, sweeps_of

_TRIAL = ("trial", "arm", "status", "seed")
_SIZES = ("cold_cost", "cost_spent", "params", "macs", "model")
_METRICS = {"n": "n", "val_accuracy": "accuracy", "val_nll": "nll", "val_ece": "ece"}
_END = ("epochs", "stage", "reason")
_STAGE = (
    *("key", "name", "model", "params", "macs", "epochs", "hint_epochs", "seconds"),
    *("requested_by", "hits", "status", "cost", *_METRICS, "latency_ms"),
    *("merit_mean", "merit_differs", "error"),
)
RULES = ("trial", "method", "val_accuracy", "one_degraded")
"""Columns of `rules.csv`."""
_REST = 19
"""Between two writes, as many times as long as the first of them took."""
_CURVE = ("key", "name", "phase", "epoch")


class Tables:
    """Writes a run's tables from its state. The ledger is the truth; they can be written again.

    Rows are kept as text between writes, those of epochs compressed, since a run only ever adds
    rows: so a search of a thousand trials does not spend its time on formatting.

    Args:
        paths: Of the run.
        holes: Names of the space's holes, in order.
    """

    def __init__(self, paths: RunPaths, holes: Sequence[str]) -> None:
        self._paths, self._holes = paths, tuple(holes)
        self._trials: dict[int, str] = {}
        self._rules: dict[int, str] = {}
        self._curves: list[bytes] = []
        self._num_stages = 0
        self._columns: tuple[str, ...] = ()
        self._written: dict[Path, str] = {}
        self._not_before = 0.0
        self._behind = False

    def write(self, state: RunState) -> None:
        """Write every table that has changed, each wholly or not at all."""
        started = monotonic()
        with self._paths.writing():
            self._put(self._paths.trials, self._trial_rows(state))
            self._put(self._paths.stages, _text([_STAGE, *_stage_rows(state)]))
            self._put(self._paths.curves, self._curve_rows(state))
            self._put_rules(state)
            write_summary(self._paths, state)
            self._put_schedules(state)
        now = monotonic()
        self._not_before = now + _REST * (now - started)
        self._behind = False

    def follow(self, state: RunState) -> None:
        """Write after a trial has ended, now or once it is `due`.

        Not more often than leaves nineteen twentieths of the time to the trials: tables of a
        thousand trials take longer to write than a small trial to run.
        """
        self._behind = True
        if self.due:
            self.write(state)

    @property
    def due(self) -> bool:
        """Whether there is something to write that `follow` put off, and it is time for it."""
        return self._behind and monotonic() >= self._not_before

    def _put(self, path: Path, text: str) -> None:
        digest = sha256_text(text)
        if self._written.get(path) != digest or not path.exists():
            write_atomic(path, text)
            self._written[path] = digest

    def _trial_rows(self, state: RunState) -> str:
        objectives = tuple(state.objectives)
        extra = tuple(name for name in (*_SIZES, *_METRICS) if name not in objectives)
        header = (*_TRIAL, *objectives, *extra, *_END, *self._holes)
        for number in state.ends:
            if number not in self._trials and number in state.trials:
                row = _trial_row(state, state.trials[number])
                cells = [row.get(column) for column in header[: -len(self._holes) or None]]
                read = state.trials[number].read_values
                cells += [read.get(hole) for hole in self._holes]
                self._trials[number] = _text([cells])
        rows = (self._trials[number] for number in sorted(self._trials))
        return _text([header]) + "".join(rows)

    def _curve_rows(self, state: RunState) -> str:
        new = state.stages[self._num_stages :]
        measured = dict.fromkeys(
            name for stage in new for row in stage.history for name in row if name not in _CURVE
        )
        columns = tuple(dict.fromkeys((*self._columns, *measured)))
        if columns != self._columns:
            # A later stage measures something new: all rows get its column.
            self._columns, self._curves, new = columns, [], state.stages
        header = (*_CURVE, *self._columns)
        for stage in new:
            rows = ({**row, "key": stage.key, "name": stage.name} for row in stage.history)
            text = _text([row.get(c) for c in header] for row in rows)
            self._curves.append(zlib.compress(text.encode(), 1))
        self._num_stages = len(state.stages)
        return _text([header]) + "".join(zlib.decompress(one).decode() for one in self._curves)

    def _put_rules(self, state: RunState) -> None:
        for number, sweep in sweeps_of(state).items():
            if number not in self._rules:
                whole = method_accuracies(sweep)
                degraded = method_accuracies(sweep, one_degraded=True)
                self._rules[number] = _text(
                    (number, method, value, degraded.get(method))
                    for method, value in whole.items()
                )
        if self._rules:
            rows = (self._rules[number] for number in sorted(self._rules))
            self._put(self._paths.rules, _text([RULES]) + "".join(rows))

    def _put_schedules(self, state: RunState) -> None:
        best = best_trial(state)
        if best is not None:
            self._put(self._paths.best_schedule, best.schedule)
            self._put_recommended(state)
        front = [trial for trial in pareto_trials(state) if trial is not best]
        wanted = {self._paths.pareto / pareto_name(trial): trial for trial in front}
        for path, trial in wanted.items():
            self._put(path, trial.schedule)
        for path in self._paths.pareto.glob("*.yaml"):
            if path not in wanted:
                path.unlink(missing_ok=True)
                self._written.pop(path, None)

    def _put_recommended(self, state: RunState) -> None:
        """The best by val of trials and control arms; never in place of what `confirm` wrote."""
        found, path = recommended_trial(state), self._paths.recommended
        if found is None or is_confirmed(path):
            return
        which = f"trial {found.trial}" if found.arm == SEARCH else f"the control arm {found.arm}"
        header = (
            f"# {which}: the best by val of the search's trials and of the control arms that "
            "deliver the same model\n"
            f"# not confirmed; for a verdict on fresh seeds: "
            f"{command_line('confirm', self._paths.root)}\n"
        )
        self._put(path, header + found.schedule)


def write_summary(paths: RunPaths, state: RunState) -> None:
    """Write `summary.json`, with the verdict of the run's confirmation where there is one."""
    write_json(paths.summary, summarise(state, confirm_result(paths)))


def is_confirmed(recommended: Path) -> bool:
    """Whether `confirm` wrote this `recommended.yaml`; its opening comment says so."""
    try:
        text = read_regular(recommended, most=1 << 24).decode()
    except (OSError, ValueError):
        return False
    comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
    return any("made by dmtsearch confirm" in line for line in comment)


def pareto_name(trial: TrialProposed) -> str:
    """File name of a trial of the Pareto set."""
    return f"trial_{trial.trial:04d}.yaml"


def _trial_row(state: RunState, trial: TrialProposed) -> dict[str, Any]:
    end = state.ends[trial.trial]
    return {
        "trial": trial.trial,
        "arm": trial.arm,
        "status": end.status,
        "seed": trial.seed,
        "cold_cost": trial.cold_cost,
        "cost_spent": end.cost_spent,
        "params": trial.params,
        "macs": trial.macs,
        "model": delivered_model(trial)[0],
        **{column: end.metrics.get(name) for column, name in _METRICS.items()},
        **end.objectives,
        "epochs": end.epochs,
        "stage": end.stage,
        "reason": end.reason,
    }


def _stage_rows(state: RunState) -> Iterable[Sequence[Any]]:
    """A row for each key that was executed, as it ended last; its hits are the other askers."""
    asked: dict[str, int] = {}
    for trial in state.trials.values():
        for key in {stage.key for stage in trial.stages}:
            asked[key] = asked.get(key, 0) + 1
    last: dict[str, StageEnded] = {}
    for stage in state.stages:
        if stage.status != "store":
            last[stage.key] = stage
    for key, stage in last.items():
        row: Mapping[str, Any] = {
            **{name: getattr(stage, name, None) for name in _STAGE},
            "hits": max(0, asked.get(key, 0) - 1),
            **{column: stage.metrics.get(name) for column, name in _METRICS.items()},
            "latency_ms": stage.latency.get("median_ms"),
            "merit_mean": stage.merit.get("mean"),
            "merit_differs": stage.merit.get("differs"),
        }
        yield [row[column] for column in _STAGE]


def _text(rows: Iterable[Iterable[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
