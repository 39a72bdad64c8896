"""Which failed trials of earlier versions are tried again: the machine may have been to blame."""

from collections.abc import Iterator
from contextlib import suppress

from ..errors import StoreError
from ..store import Store
from .ledger import RunState
from .records import TrialEnded, TrialProposed


def uncertain_failures(state: RunState, store: Store) -> tuple[int, ...]:
    """Numbers of the trials that failed without an answer about their schedule.

    Since failures are told apart, a ledger says which are answers. Of those before, the ones are
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
