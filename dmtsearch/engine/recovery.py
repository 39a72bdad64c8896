"""What a killed driver leaves behind is put in order before its run goes on.

A run has three accounts of its trials, which are compared: a number is used once. The ledger is
the truth. Where the study has lost trials that the ledger knows, it is made whole from it; where
the ledger has lost what the study or `trials.csv` knows, nobody can say what ran, and the run is
refused before anything is written.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from dmtsearch.errors import DmtSearchError
from dmtsearch.files import read_regular
from dmtsearch.space import Space
from dmtsearch.space.hole import Value

from ..errors import StoreError
from ..store import Store
from .ledger import REMEDY, RunState, cut_torn_line
from .ledger_lines import StageEnded, TrialEnded, TrialProposed
from .run_paths import RunPaths
from .study import MOVE_AWAY, RunStudy


def clear_leftovers(paths: RunPaths) -> None:
    """Cut half-written last lines and drop locks that nobody holds.

    Only for the holder of the run's lock: nobody else writes then, so that every
    `study.journal.lock*` is a dead driver's.
    """
    for lock in paths.root.glob(paths.journal.name + ".lock*"):
        lock.unlink(missing_ok=True)
    cut_torn_line(paths.journal)
    cut_torn_line(paths.ledger)


def compare_tables(paths: RunPaths, state: RunState) -> tuple[str, ...]:
    """Compare `trials.csv` with the ledger; return what is to be said of it.

    A table that cannot be read says nothing: it is written again.

    Raises:
        DmtSearchError: It has trials of which the ledger knows nothing, or other ones.
    """
    rows = _rows(paths)
    lost = sorted(number for number in rows if number not in state.trials)
    if lost:
        raise DmtSearchError(
            f"{paths.ledger}: the lines of {_numbers('trial', lost)} are missing: "
            f"{paths.trials.name} has them, and the ledger has {_known(state)}; {REMEDY} "
            f"(is {paths.trials.name} another run's? then remove it)"
        )
    other = sorted(n for n, arm in rows.items() if arm != state.trials[n].arm)
    if other:
        raise DmtSearchError(
            f"{paths.ledger}: {_numbers('trial', other)}: another arm than in "
            f"{paths.trials.name}; one of the two is another run's: {REMEDY}"
        )
    return _again(paths, sorted(n for n in rows if n not in state.ends), paths.trials.name)


def reconcile(paths: RunPaths, state: RunState, study: RunStudy, space: Space) -> tuple[str, ...]:
    """Compare the study with the ledger, and make it whole; return what is to be said of it.

    Raises:
        DmtSearchError: The study has trials of which the ledger knows nothing, or other ones.
    """
    drawn = _drawn(state)
    _refuse_lost_lines(paths, state, study, drawn)
    _refuse_other_values(paths, study, space, drawn)
    missing = sorted(number for number in drawn if number >= len(study))
    finished = set(study.finished())
    ends = [t.trial for t in state.unfinished if t.number is not None and t.number in finished]
    said = list(_again(paths, sorted(ends), paths.journal.name))
    if missing:
        _complete(state, study)
        _restore(paths, state, study, drawn, missing)
        said.append(
            f"{paths.journal}: {_numbers('draw', missing)} missing; rebuilt from "
            f"{paths.ledger.name}"
        )
    return tuple(said)


def _drawn(state: RunState) -> dict[int, Mapping[str, Value]]:
    """What the ledger knows of the study's trials: values by number in the study."""
    found = {
        redrawn.number: redrawn.values for redrawn in state.redrawn if redrawn.number is not None
    }
    found |= {
        trial.number: trial.values for trial in state.of_search() if trial.number is not None
    }
    return found


def _refuse_lost_lines(
    paths: RunPaths, state: RunState, study: RunStudy, drawn: Mapping[int, object]
) -> None:
    # A killed driver leaves at most its last draw unknown to the ledger, and never a finished one.
    lost = [number for number in study.finished() if number not in drawn]
    lost += [n for n in study.running() if n not in drawn and n != len(study) - 1]
    if lost:
        raise DmtSearchError(
            f"{paths.ledger}: the lines of {_numbers('draw', sorted(lost))} of the study are "
            f"missing: {paths.journal.name} has them, and the ledger has {_known(state)}; {REMEDY}"
        )


def _refuse_other_values(
    paths: RunPaths, study: RunStudy, space: Space, drawn: Mapping[int, Mapping[str, Value]]
) -> None:
    for number in sorted(number for number in drawn if number < len(study)):
        try:
            same = space.settle(study.values(number)) == space.settle(drawn[number])
        except (ValueError, TypeError, LookupError, ArithmeticError):
            same = False  # values that are none of this space's
        if not same:
            raise DmtSearchError(
                f"{paths.journal}: draw {number} has other values than in {paths.ledger.name}: "
                f"it is damaged, or another run's; {MOVE_AWAY}"
            )


def _complete(state: RunState, study: RunStudy) -> None:
    """Of a journal that was cut, the last trials may lack what their pruner was shown."""
    stages = {stage.key: stage for stage in state.stages}
    running = set(study.running())
    for trial in state.of_search():
        if trial.number in running and trial.number is not None and trial.trial in state.ends:
            reports = _reports(study, trial, stages.get(trial.key), state)
            study.complete(trial.number, reports)


def _restore(
    paths: RunPaths,
    state: RunState,
    study: RunStudy,
    drawn: Mapping[int, Mapping[str, Value]],
    missing: Sequence[int],
) -> None:
    if missing != list(range(len(study), len(study) + len(missing))):
        raise DmtSearchError(
            f"{paths.ledger}: of the study's draws from {len(study)} on only "
            f"{_numbers('draw', missing)} in it: lines were lost; {REMEDY}"
        )
    trials = {trial.number: trial for trial in state.of_search()}
    stages = {stage.key: stage for stage in state.stages}
    for number in missing:
        reports: dict[int, float] = {}
        stopped_at = None
        trial = trials.get(number)
        if trial is not None and trial.trial in state.ends:
            reports = _reports(study, trial, stages.get(trial.key), state)
            if state.ends[trial.trial].status == "pruned" and reports:
                stopped_at = max(reports)
        try:
            study.restore(drawn[number], reports, stopped_at, trial.trial if trial else None)
        except (ValueError, KeyError) as error:
            raise DmtSearchError(
                f"{paths.ledger}: draw {number} has values that this space cannot have "
                f"({error}); is {paths.space.name} another run's? put it back from a copy"
            ) from error


def _reports(
    study: RunStudy, trial: TrialProposed, stage: StageEnded | None, state: RunState
) -> dict[int, float]:
    if stage is None:
        return {}
    asked = next(request for request in trial.stages if request.name == trial.deliver)
    until = state.ends[trial.trial].epochs
    rows = [row for row in stage.history if row["epoch"] <= until]
    return study.reports(rows, asked.epochs)


def _rows(paths: RunPaths) -> dict[int, str]:
    """Arm by trial, as far as `trials.csv` can be read."""
    try:
        text = read_regular(paths.trials, most=1 << 30).decode()
        found = {}
        for row in csv.DictReader(io.StringIO(text, newline="")):
            number, arm = row.get("trial"), row.get("arm")
            if number and number.isascii() and number.isdigit() and len(number) < 10 and arm:
                found[int(number)] = arm
    except (OSError, ValueError, csv.Error):
        return {}
    return found


def _again(paths: RunPaths, trials: Sequence[int], seen_in: str) -> tuple[str, ...]:
    if not trials:
        return ()
    return (
        f"{paths.ledger}: the end of {_numbers('trial', trials)} is missing, by {seen_in}; taken "
        "up again with the same parameters (finished stages are in the store)",
    )


def _known(state: RunState) -> str:
    count = len(state.trials)
    return "no trial" if not count else "1 trial" if count == 1 else f"{count} trials"


def _numbers(what: str, numbers: Sequence[int]) -> str:
    """`trial 3`, `trials 3, 4 and 7`, `trials 0 to 11`."""
    if len(numbers) == 1:
        return f"{what} {numbers[0]}"
    if len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{what}s {numbers[0]} to {numbers[-1]}"
    shown = [str(number) for number in numbers[:10]]
    more = len(numbers) - len(shown)
    last = f"{more} more" if more else shown.pop()
    return f"{what}s {', '.join(shown)} and {last}"


def uncertain_failures(state: RunState, store: Store) -> tuple[int, ...]:
    """Numbers of the trials that failed without an answer about their schedule.

    A ledger says which failures are answers. Of those of older versions, the ones are
    answers whose stage diverged, which is in the store; the others are worth a try, which costs
    little where they fail again.
    """
    return tuple(_uncertain(state, store))


def _uncertain(state: RunState, store: Store) -> Iterator[int]:
    for number, end in sorted(state.ends.items()):
        if (
            end.status == "failed"
            and not end.certain
            and not _has_diverged(state.trials[number], end, store)
        ):
            yield number


def _has_diverged(trial: TrialProposed, end: TrialEnded, store: Store) -> bool:
    for request in trial.stages:
        if request.name == end.stage:
            with suppress(StoreError):
                found = store.get(request.key)
                return found is not None and found.failed
    return False
