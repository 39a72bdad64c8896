"""A commented search space for one's own images and models, within a budget of hours here."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dmtsearch.data import DataFacts, describe_data, describe_splits
from dmtsearch.engine import (
    LEAST_TEST,
    PrepareContext,
    SearchPlan,
    context_on,
    plan_search,
)
from dmtsearch.errors import DataError, DmtSearchError, UsageError, nearest
from dmtsearch.human import hours_text
from dmtsearch.machine import slots_here
from dmtsearch.models import build_skeleton, count_params, resolve_size
from dmtsearch.names import DATA_SETS, PRESETS
from dmtsearch.schedule import Schedule
from dmtsearch.space import Space, parse_space
from dmtsearch.training.schedule_data import open_schedule_data

from .new_space_text import NewChain, flow, space_text

LARGEST_SIDE = 96
"""Larger images are resized: to 64 pixels for models of ours, to 224 for others."""
MOST_TRIALS, MOST_EPOCHS = 24, 30
FEW_TRIALS, FEW_EPOCHS = 8, 3
"""Epochs are cut to these before trials are, and below them only where nothing else is left."""
FAR_TOO_FEW = 0.01
"""Where not even so small a share of the hours is there, the least is tried at once."""
SMALLER = 16
"""The target has so many times fewer parameters than the first model, where it is not named."""
FIRST_PARAMS = 300_000
SOME_DRAWS = 8
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([kKmM]?)")


@dataclass(frozen=True)
class NewSpace:
    """A space as `dmtsearch init` writes it.

    Attributes:
        text: The file.
        plan: What it costs here.
    """

    text: str
    plan: SearchPlan


def new_space(
    *,
    images: Path | None = None,
    data: str | None = None,
    first: str | None = None,
    target: str | None = None,
    hours: float = 1.0,
    command: str = "dmtsearch init",
) -> NewSpace:
    """Return a space for images and models whose search and confirmation fit into some hours.

    Args:
        images: Folder with a sub-folder of images for each class; or
        data: Name of a data set that is on this machine.
        first, target: Models by name, or by a number of parameters such as `50k`.
        hours: For the search, and `confirm` to its first look, on this machine.
        command: As it was typed, for the file's head.

    Raises:
        UsageError: A model's name is unknown, the target is not the smaller one, or there are
            too few hours for one trial.
        DataError: The images cannot be learned from; nothing is downloaded.
    """
    if images is not None and not images.is_dir():
        raise UsageError(f"--images {images}: there is no such folder")
    if not 0 < hours < math.inf:
        raise UsageError(f"--hours {hours:g}: give a time above 0, such as 0.5 or 8")
    chain, context = _chain(images, data, first, target, command)
    return _within(_that_runs(chain, context), context, hours)


# -- the data ------------------------------------------------------------------------------------


def _chain(
    images: Path | None, data: str | None, first: str | None, target: str | None, command: str
) -> tuple[NewChain, PrepareContext]:
    foreign = any(_is_foreign(text) for text in (first, target) if text is not None)
    name = "image_folder" if images is not None else str(data)
    args = {"root": str(images)} if images is not None else {}
    facts, size = _describe(name, args, 224 if foreign else 64)
    shape = next(iter(facts.shapes.values()))
    sizes = _splits(facts)
    big, small = _models(first, target, shape, facts.num_classes)
    chain = NewChain(
        name=_plain_name(images.resolve().name if images else name),
        data=_data_block(name, args, size, sizes, facts),
        facts=facts,
        sizes=sizes,
        first=big,
        target=small,
        words=(first or _words(big), target or _words(small)),
        command=command,
    )
    try:
        return chain, _opened(chain)
    except DataError as error:
        if "data.size" not in str(error) or size is not None:
            raise
        # Images of several sizes, the first of which is small.
        side = min(shape[1:])
        facts = describe_data(name=name, args=args, size=side)
        block = _data_block(name, args, side, sizes, facts)
        chain = replace(chain, data=block, facts=facts)
        return chain, _opened(chain)


def _opened(chain: NewChain) -> PrepareContext:
    plainest = replace(chain, with_assistant=False, with_hints=False)
    space = parse_space(space_text(plainest, trials=1, epochs=1), "the new space")
    return context_on(space, open_schedule_data(space.anchor()))


def _data_block(
    name: str,
    args: Mapping[str, Any],
    size: int | None,
    sizes: Mapping[str, int],
    facts: DataFacts,
) -> str:
    own = {"val": facts.num_val, "test": facts.num_test}
    block: dict[str, Any] = {"name": name}
    if args:
        block["args"] = args
    if size is not None:
        block["size"] = size
    block |= {split: sizes[split] for split in own if own[split] is None}
    return flow(block)


def _plain_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "own-images"


def _describe(name: str, args: Mapping[str, Any], side: int) -> tuple[DataFacts, int | None]:
    """The facts, and to how many pixels images are resized; None where they stay as they are."""
    if name not in DATA_SETS:
        raise UsageError(f"--data {name}: no data set of this name{nearest(name, DATA_SETS)}")
    try:
        facts = describe_data(name=name, args=args)
    except DataError as error:
        if args:
            raise
        raise UsageError(
            f"--data {name}: {error}; `init` writes spaces for images by class and for data sets "
            "that need no arguments: begin with a file of search_spaces"
        ) from error
    if not facts.present:
        raise DataError(
            f"{name} is not on this machine, and `init` downloads nothing: {facts.advice}"
        )
    if len(facts.shapes) > 1:
        raise UsageError(
            f"--data {name}: its samples have several modalities; begin with "
            "search_spaces/selector_small.yaml"
        )
    shape = next(iter(facts.shapes.values()))
    if max(shape[1:]) > LARGEST_SIDE:
        return describe_data(name=name, args=args, size=side), side
    return facts, None


def _splits(facts: DataFacts) -> dict[str, int]:
    """Sizes of the splits: those that the data brings, else a fifth for test and less for val.

    Of few samples test has up to a third, where `confirm` needs so many.
    """
    pool = facts.num_train or 0
    fifth = max(1, min(5_000, round(0.2 * pool)))
    test = None if facts.num_test is not None else max(fifth, min(LEAST_TEST, pool // 3))
    val = None if facts.num_val is not None else max(1, min(5_000, round(0.16 * pool)))
    found = describe_splits(facts, val=val, test=test)
    if found is None:
        raise DataError(f"{facts.name}: the number of its samples is not known")
    return dict(found)


# -- the models ----------------------------------------------------------------------------------


def _is_foreign(text: str) -> bool:
    return _SIZE.fullmatch(text) is None and text not in PRESETS


def _models(
    first: str | None, target: str | None, shape: tuple[int, ...], classes: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    big = (
        _model("--first", first, shape, classes) if first else _sized(FIRST_PARAMS, shape, classes)
    )
    if target is not None:
        return big, _model("--target", target, shape, classes)
    number = _params(big, shape, classes) // SMALLER
    return big, _sized(max(1, number), shape, classes)


def _model(option: str, text: str, shape: tuple[int, ...], classes: int) -> dict[str, Any]:
    size = _SIZE.fullmatch(text)
    if size is not None:
        scale = {"": 1, "k": 1_000, "m": 1_000_000}[size[2].lower()]
        try:
            return _sized(max(1, round(float(size[1]) * scale)), shape, classes)
        except DmtSearchError as error:
            raise UsageError(f"{option} {text}: {error}") from error
    if text in PRESETS:
        return {"preset": text}
    others = _others()
    for library, names in others.items():
        name = text.removeprefix(f"{library}:")
        if name in names:
            return {library: name}
    known = [*PRESETS, *(name for names in others.values() for name in names)]
    raise UsageError(
        f"{option} {text}: no model of this name{nearest(text, known)}; give one of ours, of "
        f"{' or '.join(others)}, or a number of parameters such as 50k"
    )


def _others() -> dict[str, list[str]]:
    """Names of torchvision's classification models, and of timm's where it is installed."""
    import torchvision

    found = {"torchvision": list(torchvision.models.list_models(module=torchvision.models))}
    try:
        import timm
    except ImportError:
        return found
    return {**found, "timm": list(timm.list_models())}


def _sized(params: int, shape: tuple[int, ...], classes: int) -> dict[str, Any]:
    """A plain net of about so many parameters, with as many blocks as the images have room for."""
    blocks = max(1, min(4, int(math.log2(max(2, min(shape[1:])))) - 1))
    ratios = {"family": "plain", "widths": [8 * 2**block for block in range(blocks)], "convs": 2}
    spec = {"family": "plain", "convs": 2, "size": {"params": params}}
    found = resolve_size(spec, in_shape=shape, num_classes=classes, params=params, start=ratios)
    return {"family": "plain", "widths": list(found["widths"]), "convs": 2}


def _params(spec: Mapping[str, Any], shape: tuple[int, ...], classes: int) -> int:
    return count_params(build_skeleton(spec, in_shape=shape, num_classes=classes))


def _words(spec: Mapping[str, Any]) -> str:
    return "a plain net of widths " + "-".join(str(width) for width in spec["widths"])


# -- within the budget ---------------------------------------------------------------------------


def _that_runs(chain: NewChain, context: PrepareContext) -> NewChain:
    """The chain with as much to search as its models allow."""
    reasons: list[DmtSearchError] = []
    for assistant, hints in ((True, True), (False, True), (True, False), (False, False)):
        tried = replace(chain, with_assistant=assistant, with_hints=hints)
        try:
            for schedule in _some(
                parse_space(space_text(tried, trials=1, epochs=1), "the new space")
            ):
                plan = context.resolve(schedule)
        except DmtSearchError as error:
            reasons.append(error)
            continue
        big, small = plan.stages[0].params, plan.stage(plan.deliver).params
        if small >= big:
            raise UsageError(
                f"--target {chain.words[1]} has {small:,} parameters and the first model, "
                f"{chain.words[0]}, {big:,}: the target is the smaller one"
            )
        return tried
    raise reasons[-1]


def _some(space: Space) -> Iterator[Schedule]:
    yield space.anchor()
    for seed in range(SOME_DRAWS):
        yield space.draw(seed)


def _within(chain: NewChain, context: PrepareContext, hours: float) -> NewSpace:
    trials, epochs, times = MOST_TRIALS, MOST_EPOCHS, None
    here = slots_here()
    while True:
        text = space_text(chain, trials=trials, epochs=epochs)
        plan = plan_search(
            parse_space(text, "the new space"), context, trials=trials, slots=(here,), times=times
        )
        times = plan.times
        if times is None:
            raise UsageError(
                "nothing can be timed here, so hours are not known: its models need a GPU"
            )
        total = _total(plan, here)
        if total <= hours:
            # A small space has fewer schedules than were wanted.
            text = space_text(chain, trials=plan.trials, epochs=epochs, plan=plan, hours=hours)
            return NewSpace(text, plan)
        share = 0.9 * hours / total
        if share < FAR_TOO_FEW and (trials, epochs) != (1, 1):
            trials, epochs = 1, 1
        elif epochs > FEW_EPOCHS:
            epochs = max(FEW_EPOCHS, math.floor(epochs * share))
        elif trials > FEW_TRIALS:
            trials = max(FEW_TRIALS, math.floor(trials * share))
        elif epochs > 1:
            epochs -= 1
        elif trials > 1:
            trials = max(1, math.floor(trials * share))
        else:
            raise UsageError(
                f"--hours {hours:g} are too few: one trial of one epoch, its control arms and its "
                f"confirmation take about {hours_text(total)} here; give --hours "
                f"{total * 1.2:.2g}, smaller images or a smaller first model"
            )


def _total(plan: SearchPlan, slots: int) -> float:
    look = plan.confirm.get("first_look")
    return (plan.by_slots[slots] or 0.0) + ((look.hours or 0.0) if look else 0.0)
