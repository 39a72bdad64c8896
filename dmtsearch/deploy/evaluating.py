"""A bundle on its sealed test split, or on other data; each opening is written down."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from dmtsearch.bundles.bundle import OPENINGS, SCHEDULE, ModelBundle
from dmtsearch.data import DATASETS, DataSet, Split, load_data
from dmtsearch.deploy.loading import as_stored, load_bundle
from dmtsearch.deploy.unseen import unseen_part
from dmtsearch.errors import BundleError, DmtSearchError, UsageError, nearest
from dmtsearch.files import append_whole, refuse_odd_place
from dmtsearch.notebook import html_view, short_repr
from dmtsearch.schedule import expand, load_schedule
from dmtsearch.training.evaluate import Metrics
from dmtsearch.training.profile import Profile, pick_device
from dmtsearch.training.schedule_data import open_schedule_data

FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Evaluation:
    """A bundle's score.

    Attributes:
        split: `test`, or the other data as it was named.
        metrics: With n.
        openings: How often this bundle's test split has been opened, this time included; 0 for
            other data.
        selector: Of a selector: what else `SelectorBundle.score` found.
        excluded: Samples of other data that are left out, since they trained or chose the model.
        notes: What a reader of the score should know.
    """

    split: str
    metrics: Metrics
    openings: int
    selector: Mapping[str, Any] = field(default_factory=dict)
    excluded: int = 0
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        found = self.metrics
        accuracy = f"accuracy {100 * found.accuracy:.2f} %"
        return short_repr(self, repr(self.split), accuracy, f"n = {found.n:,}")

    def _repr_html_(self) -> str:
        facts = {**self.metrics.as_dict(), "openings": self.openings}
        methods = self.selector.get("methods", {})
        rows = [(name, f"{100 * one['accuracy']:.2f} %") for name, one in methods.items()]
        columns = ("method", "accuracy")
        return html_view(f"Evaluation on {self.split}", facts, columns=columns, rows=rows)

    def as_dict(self) -> dict[str, Any]:
        """`{"split", "n", "accuracy", "nll", "ece"}`, what a selector has more, openings,
        excluded and notes."""
        own = {"split": self.split, **self.metrics.as_dict(), **self.selector}
        more = {"openings": self.openings, "excluded": self.excluded, "notes": list(self.notes)}
        return {**own, **more}


def evaluate_bundle(
    folder: str | Path | ModelBundle,
    *,
    data: Any = None,
    device: str | None = None,
    reason: str = "evaluate",
) -> Evaluation:
    """Score a bundle; one of a selector over the whole sweep (see `SelectorBundle.score`).

    Args:
        folder: What `dmtsearch train` wrote: its folder, or the bundle loaded (as it must be
            where a module was given from Python). The weights that the folder holds are scored.
        data: None for the test split of the bundle's own data. Else other data: a folder of
            images by class, a table name, a factory `package.module:function`, or the data sets
            themselves. Of such, the test split that they bring is used, else all samples, and
            of these only what the model was neither trained on nor chosen by.
        device: `cpu`, `cuda`, ...; CUDA where there is one, if None.
        reason: Written down with the opening of the test split.

    Raises:
        BundleError: No bundle, its data is not what it was trained on, or its model's code or
            outputs are not those that were trained.
        DataError: The data cannot be read, or has other shapes or classes.
    """
    bundle = _loaded(folder, pick_device(device))
    found = _evaluate(bundle, data, reason)
    return replace(found, notes=(*bundle.notes, *found.notes))


def _evaluate(bundle: ModelBundle, data: Any, reason: str) -> Evaluation:
    if data is None:
        return _on_test(bundle, reason)
    opened = _other_data(bundle, data)
    name = data if isinstance(data, str) else "given data"
    split = _relabelled(bundle, opened, _all_of(opened))
    _refuse_lacking(bundle.modalities, split)
    unseen = unseen_part(
        bundle.folder,
        bundle.info,
        split,
        bundle.modalities,
        fingerprint=opened.fingerprint,
        name=name,
    )
    scores = bundle.score(unseen.split, lambda: _own_data(bundle))
    found = _evaluation(name, scores)
    if unseen.of_test:
        found = _written_down(bundle, found, reason, opened.fingerprint)
    return replace(found, excluded=unseen.excluded, notes=unseen.notes)


def _refuse_lacking(modalities: Sequence[str], split: Split) -> None:
    for name in modalities:
        if name not in split.x:
            raise BundleError(
                f"the model reads modality {name!r}; the data has {', '.join(split.x)}"
            )


def _loaded(given: str | Path | ModelBundle, device: str) -> ModelBundle:
    """A bundle as its folder has it, on a device; what was given stays as it is."""
    if isinstance(given, str | Path):
        return load_bundle(given, device=device)
    stored = as_stored(given)
    profile = Profile(device=device)
    model: Any = profile.place(stored.model).eval()
    return replace(stored, model=model, profile=profile)


def _evaluation(split: str, found: Mapping[str, Any]) -> Evaluation:
    """The four metrics of every model, and what its kind has more beside them."""
    metrics = Metrics(found["n"], found["accuracy"], found["nll"], found["ece"])
    more = {name: value for name, value in found.items() if name not in metrics.as_dict()}
    return Evaluation(split, metrics, 0, more)


def _own_data(bundle: ModelBundle) -> DataSet | None:
    """What the bundle was trained on, for baselines that are fitted; None where it is gone."""
    try:
        opened = open_schedule_data(load_schedule(bundle.folder / SCHEDULE))
    except DmtSearchError:
        return None
    return opened if opened.fingerprint == bundle.info["data"]["fingerprint"] else None


def _on_test(bundle: ModelBundle, reason: str) -> Evaluation:
    opened = open_schedule_data(load_schedule(bundle.folder / SCHEDULE))
    trained_on = bundle.info["data"]["fingerprint"]
    if opened.fingerprint != trained_on:
        raise BundleError(
            f"{bundle.folder}: the data has changed since this model was trained (fingerprint "
            f"{opened.fingerprint[:12]}, not {trained_on[:12]}), or was given from Python; score "
            "it as other data with --data: what the model was trained on is left out then"
        )
    digests = bundle.info["data"].get("split_digests")
    if digests is not None and digests.get("test") != opened.split_digests["test"]:
        raise BundleError(
            f"{bundle.folder}: the data is the same, but its test split has other samples than "
            "when this model was trained; score it as other data with --data: what the model was "
            "trained on is left out then"
        )
    opened.open_test(reason=reason)
    scores = bundle.score(opened.split("test"), lambda: opened)
    found = _evaluation("test", scores)
    return _written_down(bundle, found, reason, opened.fingerprint)


def _written_down(
    bundle: ModelBundle, found: Evaluation, reason: str, fingerprint: str
) -> Evaluation:
    """Note an opening of the test split in the bundle; the evaluation with how many there are."""
    path = bundle.folder / OPENINGS
    line = {
        "opened": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "reason": reason,
        "split": "test",
        **({} if found.split == "test" else {"data": found.split}),
        "seeds": [bundle.info["seed"]],
        "fingerprint": fingerprint,
        **found.metrics.as_dict(),
    }
    refuse_odd_place(path)
    try:
        append_whole(path, (json.dumps(line) + "\n").encode())
    except OSError as error:
        raise BundleError(
            f"{path}: an opening of the test split must be written down, and this folder cannot "
            f"be written ({error.strerror}); copy the bundle to one that can"
        ) from error
    return replace(found, openings=_count_lines(path))


def _count_lines(path: Path) -> int:
    with path.open(encoding="utf-8") as file:
        return sum(1 for _ in file)


def _other_data(bundle: ModelBundle, data: Any) -> DataSet:
    # Every sample counts, so the splits that are drawn here only have to exist.
    given: dict[str, Any]
    size = expand(load_schedule(bundle.folder / SCHEDULE)).data.size
    several = len(bundle.modalities)
    if several > 1 and isinstance(data, str | Path) and Path(data).is_dir():
        raise UsageError(
            f"--data {data}: this model reads {several} modalities, and a "
            "folder of images by class has one; give a factory "
            "(package.module:function) of data sets with all of them"
        )
    if not isinstance(data, str | Path):
        given = {"objects": data}
    elif Path(data).is_dir():
        given = {"name": "image_folder", "args": {"root": str(data)}}
        shape = bundle.info["in_shape"]
        if size is None and len(shape) == 3 and shape[1] == shape[2]:
            size = shape[1]
    elif str(data) in DATASETS:
        given = {"name": str(data)}
    elif FACTORY.fullmatch(str(data)):
        given = {"factory": str(data)}
    else:
        raise UsageError(
            f"--data {data}: no such folder, table name or factory{nearest(str(data), DATASETS)}"
        )
    return load_data(**given, size=size, verify=True)


def _all_of(data: DataSet) -> Split:
    """The test split that a data set brings, else all of its samples."""
    data.open_test(reason="other data")
    if data.facts.num_test is not None:
        return data.split("test")
    parts = [data.split(name) for name in data.split_sizes]
    x = {name: torch.cat([part.x[name] for part in parts]) for name in parts[0].x}
    y, index = (torch.cat([getattr(part, field) for part in parts]) for field in ("y", "index"))
    return Split(x, y, index)


def _relabelled(bundle: ModelBundle, data: DataSet, split: Split) -> Split:
    """The split with the bundle's class numbers, matched by the classes' names."""
    numbers: Mapping[str, int] = {name: number for number, name in enumerate(bundle.classes)}
    unknown = [name for name in data.classes if name not in numbers]
    if unknown:
        raise BundleError(
            f"the data has classes that the model does not know: {', '.join(unknown[:5])}; it "
            f"knows {', '.join(bundle.classes[:12])}"
        )
    table = torch.tensor([numbers[name] for name in data.classes])
    return Split(split.x, table[split.y], split.index)
