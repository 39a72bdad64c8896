"""A schedule in plain English, a sentence or two a stage."""

from collections.abc import Mapping, Sequence

from .blocks import Accuracy, Delta, Hint, Plateau, SourceRef
from .expand import expand
from .schedule import Schedule
from .stage import DataSpec, Stage


def describe(schedule: Schedule) -> str:
    """Return what `schedule` does, in words: a line about the whole, then one for each stage."""
    expanded = expand(schedule)
    number = len(expanded.stages)
    head = (
        f"{expanded.name}: {number} stage{'s' if number > 1 else ''} on "
        f"{_data(expanded.data)}; {expanded.deliver} is delivered."
    )
    return "\n".join([head, *(f"- {_stage(stage)}" for stage in expanded.stages)])


def _data(data: DataSpec) -> str:
    name = data.name or data.factory or "the given data"
    splits = [
        f"{value:,} samples for {split}"
        if isinstance(value, int)
        else f"{100 * value:g} % for {split}"
        for split, value in (("train", data.train), ("val", data.val), ("test", data.test))
        if value is not None
    ]
    return f"{name} ({', '.join(splits)})" if splits else name


def _stage(stage: Stage) -> str:
    model = _model(stage)
    if stage.select is not None:
        names = _list(stage.select.stages)
        how = "mixes their class probabilities" if stage.select.decision == "soft" else "picks one"
        return f"{stage.name} ({model}) reads the outputs of {names} and {how} for each sample."
    if not stage.epochs and stage.hint_phase is None:
        return f"{stage.name} ({model}) is taken as it is, without training{_start(stage)}."
    sentences = [f"{stage.name} ({model}{_reads(stage)}) {_training(stage)}."]
    merit = stage.merit
    if merit is not None:
        moved = {
            "delta": _moved(merit.increment) if isinstance(merit, Delta) else "",
            "hard": "kept where the source is right and 0 where it is wrong",
            "soft": "the source's softened probability of the true class",
        }[merit.rule]
        placebo = {
            "none": "",
            "mean": " (placebo: its mean for all samples)",
            "shuffle": " (placebo: dealt out to other samples)",
        }[merit.placebo]
        judged = ""
        if merit.correctness == "folds":
            judged = f"; on each sample a copy of {stage.sources[0].stage} that was not trained "
            judged += "on it stands for the source"
        sentences.append(f"The weight of the soft targets is {moved}{placebo}{judged}.")
    sentences += _ending(stage)
    return " ".join(sentences)


def _moved(increment: float) -> str:
    ways = ("raised", "lowered") if increment >= 0 else ("lowered", "raised")
    return (
        f"{ways[0]} by {abs(increment):g} where the source is right and {ways[1]} by as much "
        "where it is wrong"
    )


NEARLY_CONSTANT = 0.05
"""Merit whose weight is another than the commonest on less of the samples is noted."""


def describe_weights(weights: Mapping[str, float], correctness: str) -> str:
    """Return how far merit is from a constant weight, in words.

    Args:
        weights: `n` samples, the `commonest` weight, the share `differs` of other weights.
        correctness: `from` of the merit block.
    """
    words = (
        f"merit gives {100 * weights['differs']:.1f} % of {weights['n']:,.0f} training samples "
        f"another weight than {weights['commonest']:g}"
    )
    if weights["differs"] >= NEARLY_CONSTANT:
        return words
    words += ": nearly a constant weight"
    if correctness == "folds":
        return words
    return f"{words}; `from: folds` asks copies that have not seen them"


def _model(stage: Stage) -> str:
    model = stage.model
    return model.words() + (f", weights from {model['weights']}" if "weights" in model else "")


def _reads(stage: Stage) -> str:
    return f", reading {stage.modality}" if stage.modality else ""


def _start(stage: Stage) -> str:
    return f", from the weights of {stage.init}" if stage.init else ""


def _training(stage: Stage) -> str:
    epochs = _epochs(stage.epochs)
    start = f"goes on from the weights of {stage.init} and " if stage.init else ""
    first = ""
    phase = stage.hint_phase
    if phase is not None:
        first = f"first imitates {_hints(stage.hints)} for {_epochs(phase.epochs)}"
        if not stage.epochs:
            return start + first + " and ends there"
        first += ", then "
    beside = stage.hints and (phase is None or phase.then == "stay")
    hints = f", imitating {_hints(stage.hints)} all the while" if beside else ""
    return (
        f"{start}{first}learns from {_teachers(stage)} for {epochs}{_labels_alone(stage)}{hints}"
    )


def _teachers(stage: Stage) -> str:
    soft = stage.soft
    if soft is None:
        return "the labels"
    names = _list([_source(source) for source in stage.sources])
    how = f"temperature {soft.temperature:g}, weight {soft.weight:g}"
    loss = "" if soft.loss == "kl" else f", by {soft.loss}"
    return f"{names} ({how}{loss}) and the labels"


def _labels_alone(stage: Stage) -> str:
    if stage.soft is None or stage.soft.until == 1:
        return ""
    share = round(100 * (1 - stage.soft.until), 6)
    return f", the last {share:g} % of them from the labels alone"


def _source(source: SourceRef) -> str:
    return source.stage + (f" after epoch {source.epoch}" if source.epoch else "")


def _hints(hints: Sequence[Hint]) -> str:
    return _list(
        [
            f"{hint.stage}'s {hint.source} at its own {hint.at}"
            f"{'' if hint.loss == 'mse' else f' by {hint.loss}'}"
            for hint in hints
        ]
    )


def _ending(stage: Stage) -> list[str]:
    switch = stage.switch
    sentences = []
    if isinstance(switch, Plateau):
        sentences.append(
            f"It ends early once {switch.on} has not improved for {switch.patience} "
            f"{'validated ' if stage.val_every > 1 else ''}epochs."
        )
    elif isinstance(switch, Accuracy):
        sentences.append(f"It ends early at a val accuracy of {switch.at_least:g}.")
    if stage.keep == "best" and stage.epochs:
        sentences.append("The epoch with the highest val accuracy is kept.")
    if stage.val_every > 1 and stage.epochs > 1:
        sentences.append(f"Every {stage.val_every} epochs it is validated, and after the last.")
    return sentences


def _epochs(number: int) -> str:
    return f"{number} epoch{'' if number == 1 else 's'}"


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
