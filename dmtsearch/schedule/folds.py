"""`merit.from: folds`: copies of a source that each have not seen a fifth of the training split.

A source that fits its training split is right on nearly all of it, so that merit's weight is
nearly a constant there. A copy says of samples that it was not trained on where such a source is
right.
"""

from dataclasses import replace

from .blocks import HeldOut
from .schedule import Expanded
from .stage import Stage

NUM_FOLDS = 5


def with_fold_copies(expanded: Expanded) -> Expanded:
    """Return what runs, with the copies that `merit.from: folds` needs before the stage that does.

    A copy has everything of its source (model, sources, epochs, seed) but the samples of its fold.
    Where the source goes on from the weights of another stage (`init`), which has seen these
    samples, that stage is copied too. Copies are called NAME.fold1 .. NAME.fold5, which no file
    can name.
    """
    built: dict[str, Stage] = {}
    for stage in expanded.stages:
        if stage.merit is not None and stage.merit.correctness == "folds":
            stage = replace(stage, judges=_add_copies(stage.sources[0].stage, built))
        built[stage.name] = stage
    return replace(expanded, stages=tuple(built.values()))


def _add_copies(name: str, built: dict[str, Stage]) -> tuple[str, ...]:
    """The names of the copies of a stage, which `built` has afterwards."""
    stage = built[name]
    starts: tuple[str, ...] = ()
    if stage.init is not None and _has_seen_samples(stage.init, built):
        starts = _add_copies(stage.init, built)
    names = []
    for number in range(NUM_FOLDS):
        names.append(f"{name}.fold{number + 1}")
        built[names[-1]] = replace(
            stage,
            name=names[-1],
            copy_of=name,
            fold=HeldOut(number, NUM_FOLDS),
            init=starts[number] if starts else stage.init,
        )
    return tuple(names)


def _has_seen_samples(name: str, built: dict[str, Stage]) -> bool:
    stage = built[name]
    if stage.epochs or stage.hint_phase is not None:
        return True
    return stage.init is not None and _has_seen_samples(stage.init, built)
