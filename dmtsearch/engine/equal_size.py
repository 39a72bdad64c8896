"""Equal size: where the delivered model is searched, each model on the front has its control arms.

Arms of another size say nothing of a schedule. So they wait for the last trial, and are made from
the trials that are on the front then, each at the size of its own delivered model.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import Expanded, Schedule, as_schedule, expand, read_model
from dmtsearch.space import Arm, Space

from .ledger import RunState
from .ledger_lines import TrialProposed
from .run_summary import best_trial, delivered_model, pareto_trials

if TYPE_CHECKING:
    from dmtsearch.training.stage_kind import Plan

MOST_MODELS = 5
"""Delivered models on the front that get control arms."""
DRAWS = 128
"""Draws in which another delivered model than the anchor's is looked for."""

Make = Callable[[Schedule], Sequence[Arm]]
"""The control arms of a schedule."""


def searches_sizes(space: Space) -> bool:
    """Whether schedules of a space deliver different models; the same answer for every seed."""
    try:
        anchor = expand(space.anchor())
        if anchor.stage(anchor.deliver).learns_from == "selector":
            return False  # selectors are compared with rules on the same outputs
        known = list(_delivered(anchor))
        return any(list(_delivered(expand(space.draw(seed)))) != known for seed in range(DRAWS))
    except ScheduleError:
        return False


def size_notes(space: Space) -> tuple[str, ...]:
    """What should be known of a space's control arms before it is searched."""
    if space.search.controls == ("none",) or not searches_sizes(space):
        return ()
    return (
        "the delivered model is searched, so control arms wait for the last trial and are made "
        f"for each delivered model on the front, at most {MOST_MODELS}; arms shown before are the "
        "anchor's",
    )


def _delivered(whole: Expanded) -> Iterator[Mapping[str, Any]]:
    """The delivered model, and those between whose sizes its own is."""
    todo = [whole.deliver]
    while todo:
        model = whole.stage(todo.pop()).model
        yield dict(model)
        todo += (model.get("size") or {}).get("between", ())


def front_trials(state: RunState) -> tuple[TrialProposed, ...]:
    """One trial for each delivered model on the front, the best trial first; at most 5.

    With one objective the front is the best trial. Of more than 5 models the others are spread
    evenly over their sizes. Of several trials that deliver one model, the most accurate counts.
    """
    best = best_trial(state)
    if best is None:
        return ()

    def accuracy(trial: TrialProposed) -> float:
        return state.ends[trial.trial].metrics.get("accuracy") or 0.0

    by_model = {delivered_model(best): best}
    for trial in sorted(pareto_trials(state), key=accuracy, reverse=True):
        by_model.setdefault(delivered_model(trial), trial)
    first, *others = by_model.values()
    others.sort(key=lambda trial: (trial.params, trial.macs, trial.trial))
    room = MOST_MODELS - 1
    if len(others) > room:
        step = (len(others) - 1) / (room - 1)
        others = [others[round(place * step)] for place in range(room)]
    return first, *others


def front_arms(state: RunState, space: Space, make: Make) -> tuple[Arm, ...]:
    """The control arms of each delivered model on the front that have not begun."""
    begun = {(trial.arm, trial.seed, delivered_model(trial)) for trial in state.of_controls()}
    found: list[Arm] = []
    for trial in front_trials(state):
        model = delivered_model(trial)
        for arm in make(space.fill(trial.values).with_seed(trial.seed)):
            if arm.reason_missing is not None:
                reason = f"{arm.reason_missing} (for {model[0]}, of trial {trial.trial})"
                found.append(replace(arm, reason_missing=reason))
            elif (arm.name, arm.seed, model) not in begun:
                found.append(arm)
    return tuple(found)


def with_own_size(schedule: Schedule, plan: "Plan") -> Schedule:
    """The schedule with its delivered model written out, where its size is relative to others.

    So that an arm can have this model without the stages between which it lies.
    """
    whole = expand(schedule)
    last = whole.stage(whole.deliver)
    if "at" not in (last.model.get("size") or {}):
        return schedule
    kept = {name: last.model[name] for name in ("weights", "input") if name in last.model}
    own = replace(last, model=read_model({**plan.stage(last.name).model, **kept}))
    stages = tuple(own if stage.name == last.name else stage for stage in whole.stages)
    return as_schedule(replace(whole, stages=stages))
