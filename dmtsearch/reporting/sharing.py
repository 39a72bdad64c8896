"""What sharing saved: stages, epochs and cost, asked for and run."""

from collections import Counter
from dataclasses import dataclass

from dmtsearch.reporting.reading import RunRecord


@dataclass(frozen=True)
class Saved:
    """One thing that was asked for, and what became of it; the parts add up to `asked`.

    Attributes:
        asked: By all trials, control arms included.
        run: In this run.
        shared: Asked for again after another trial of this run had.
        store: Found in the store, from an earlier run.
        left_out: Neither: a prune, a failure, an early switch, a hint phase that was shared, or
            a trial that has not come so far.
    """

    asked: int
    run: int
    shared: int
    store: int
    left_out: int

    def share(self, part: int) -> float:
        """A part of what was asked for, in [0, 1]; 0 where nothing was."""
        return part / self.asked if self.asked else 0.0


@dataclass(frozen=True)
class Sharing:
    """What was asked for and run, as stages, epochs (hint epochs included) and sample-MACs.

    Attributes:
        distinct: Different stages that were asked for.
    """

    stages: Saved
    epochs: Saved
    cost: Saved
    distinct: int


def gather_sharing(record: RunRecord) -> Sharing:
    """Follow every request of every trial, in order of proposal.

    Asked for and run agree with the run's `summary.json`.
    """
    asked, shared, store = Counter[str](), Counter[str](), Counter[str]()
    first_asked: set[str] = set()
    for trial in record.trials:
        for request in trial.asked.stages:
            amounts = {
                "stages": 1,
                "epochs": request.epochs + request.hint_epochs,
                "cost": request.cost,
            }
            asked.update(amounts)
            ended = record.stages.get(request.key)
            if ended is not None and request.key in first_asked:
                shared.update(amounts)
            elif ended is not None and ended.status == "store":
                store.update(amounts)
            first_asked.add(request.key)
    run = _run(record)
    saved = {what: _saved(asked[what], run[what], shared[what], store[what]) for what in run}
    return Sharing(saved["stages"], saved["epochs"], saved["cost"], len(first_asked))


def _run(record: RunRecord) -> dict[str, int]:
    """Finished stages, each key once; epochs and cost with those that stopped or failed."""
    ran = [line for line in record.stage_lines if line.status != "store"]
    return {
        "stages": len({line.key for line in ran if line.status == "run"}),
        "epochs": sum(line.epochs + line.hint_epochs for line in ran),
        "cost": sum(line.cost for line in ran),
    }


def _saved(asked: int, run: int, shared: int, store: int) -> Saved:
    left_out = asked - run - shared - store
    if left_out < 0:
        # Something ran twice, after a kill: less was saved than the requests alone say.
        shared, left_out = max(0, shared + left_out), 0
    return Saved(asked, run, shared, store, left_out)
