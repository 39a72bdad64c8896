"""A selector bundle over the whole sweep: every kind, seen in training or not, every method."""

from typing import Any

from dmtsearch.data import DataSet, Split
from dmtsearch.data.degradations import DEGRADATIONS
from dmtsearch.deploy.selector_bundle import SelectorBundle
from dmtsearch.errors import BundleError
from dmtsearch.training.baselines import Baselines, fit_baselines, given_baselines
from dmtsearch.training.outputs import draw_outputs, sweep_outputs
from dmtsearch.training.profile import computing
from dmtsearch.training.scoring import OWN, score_methods
from dmtsearch.training.selector_run import verdict_of
from dmtsearch.training.sources import Source


def score_selector(bundle: SelectorBundle, split: Split, own: DataSet | None) -> dict[str, Any]:
    """Score a selector and every baseline on the same outputs of its classifiers.

    The headline numbers are means over the conditions that are seen: nothing degraded, and each
    kind that the selector was trained on, by severity and degraded modality. This is the one
    place that reads other kinds too (`unseen`); no search does.

    Args:
        bundle: Classifiers and selector.
        split: What is scored, with labels numbered as the bundle's classes.
        own: What the bundle was trained on: temperatures and stacking are fitted on its
            `selector` split. None where it is gone: temperatures are those of the training then,
            and there is no stacking.

    Returns:
        n, accuracy with low and high, nll, ece, selection_accuracy, decisive_accuracy,
        oracle_accuracy, regret; `clean` and `unseen` with the same; `methods` by name, `sweep`
        with a row a condition, `temperatures`, `missing` (see `score_methods`).
    """
    # As in training: on one thread, which small operations need, and with the same arithmetic.
    with computing(bundle.profile):
        return _score(bundle, split, own)


def _score(bundle: SelectorBundle, split: Split, own: DataSet | None) -> dict[str, Any]:
    device = bundle.profile.torch_device
    split = split.to(device)
    sources = [
        Source(name, model, viewer)
        for name, model, viewer in zip(
            bundle.modalities, bundle.model.classifiers, bundle.viewers(), strict=True
        )
    ]
    _refuse_unfit(bundle, split)
    train = own.to(device).split("train") if own is not None else split
    select = bundle.model.select
    outputs = sweep_outputs(
        sources,
        split,
        train,
        "test",
        [way.kind for way in select.degrade],
        bundle.profile,
        kinds=DEGRADATIONS,
    )
    found = score_methods(
        outputs,
        lambda logits: verdict_of(bundle.model.selector, select, logits),
        _baselines(bundle, sources, own),
        bundle.modalities,
    )
    return {**found["methods"][OWN], **found}


def _baselines(bundle: SelectorBundle, sources: list[Source], own: DataSet | None) -> Baselines:
    block = bundle.info["selector"]
    if own is None:
        temperatures = block["val_sweep"]["temperatures"]
        return given_baselines(
            temperatures, {"stacking": "the data that it is fitted on is not here"}
        )
    placed = own.to(bundle.profile.torch_device)
    draws = draw_outputs(
        sources,
        placed.split("selector"),
        placed.split("train"),
        bundle.model.select.degrade,
        bundle.profile,
        seed=block["seed"],
    )
    logits, _, labels = draws.rows()
    return fit_baselines(logits, labels, bundle.modalities)


def _refuse_unfit(bundle: SelectorBundle, split: Split) -> None:
    lacking = [name for name in bundle.modalities if name not in split.x]
    if lacking:
        raise BundleError(
            f"the model reads modality {lacking[0]!r}; the data has {', '.join(split.x) or 'none'}"
        )
    for part in bundle.info["selector"]["classifiers"]:
        name, expected = part["modality"], tuple(part["in_shape"])
        found = tuple(split.x[name].shape[1:])
        if found != expected and (part["input"]["size"] is None or found[0] != expected[0]):
            raise BundleError(
                f"modality {name!r} reads samples of shape {expected}; the data has {found}"
            )
