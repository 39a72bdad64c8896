"""The outputs of a stage's sources, computed no more often than they must be.

Without augmentation a source runs once over the training split, whatever the number of epochs and
phases. Outputs that would not fit (`KEEP_BYTES`) and those of augmented samples are computed live.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dmtsearch.data import Split
from dmtsearch.losses import tap_mean_square
from dmtsearch.training.batch import Batch, batches_in_order
from dmtsearch.training.evaluate import EVALUATION_BATCH
from dmtsearch.training.profile import Profile
from dmtsearch.training.source_outputs import (
    KEEP_BYTES,
    FoldOutputs,
    FrozenStage,
    KeptOutputs,
    LiveOutputs,
    SourceOutputs,
    bytes_to_keep,
    keep_outputs,
    no_outputs,
)
from dmtsearch.training.stage_kind import ResolvedStage


class Bank:
    """Outputs of the sources of one stage, on its training and validation splits.

    Args:
        resolved: The stage; its hints say which maps are wanted of which source.
        sources: Its sources, then what hints alone read (`Stage.imitated`).
        train, val: The splits, on the device.
        profile: Number formats and device.
        judges: Copies of the first source, one for each fold of the training split.
        folds: Of each training sample, the judge that was not trained on it, [N].
    """

    def __init__(
        self,
        resolved: ResolvedStage,
        sources: Sequence[FrozenStage],
        train: Split,
        val: Split,
        profile: Profile,
        judges: Sequence[FrozenStage] = (),
        folds: Tensor | None = None,
    ) -> None:
        self._judges, self._folds = tuple(judges), folds
        self._resolved, self._sources, self._profile = resolved, tuple(sources), profile
        self._train, self._val = train, val
        self._kept: dict[int, KeptOutputs] = {}
        self._augmented = resolved.stage.augment != "none"
        self._softened = len(resolved.stage.sources) if resolved.stage.soft is not None else 0

    def for_hints(self) -> list[SourceOutputs | None]:
        """Maps on the training split for the hint phase; None for a source without hints."""
        return [
            self._on_train(source, logits=False, maps=True) if self._shapes(source) else None
            for source in range(len(self._sources))
        ]

    def for_hints_on_val(self) -> list[SourceOutputs | None]:
        """Maps on the validation split, never distorted; None for a source without hints."""
        return [
            self._outputs(source, self._val.x, len(self._val.y), logits=False, maps=True)
            if self._shapes(source)
            else None
            for source in range(len(self._sources))
        ]

    def for_training(self, *, maps: bool) -> list[SourceOutputs]:
        """Logits on the training split (and maps, where hints stay) for the main training."""
        return [
            self._on_train(
                source,
                logits=source < self._softened,
                maps=maps and bool(self._shapes(source)),
            )
            for source in range(len(self._sources))
        ]

    def for_merit(self, source: SourceOutputs) -> SourceOutputs:
        """Logits on the training split that say where the first source is right.

        Args:
            source: Its outputs, which say it where there are no judges.
        """
        if self._folds is None:
            return source
        live = FoldOutputs(
            [
                LiveOutputs(judge, logits=True, paths=[], autocast=self._profile.autocast)
                for judge in self._judges
            ],
            self._folds.to(self._train.y.device),
        )
        if self._augmented:
            return live
        batches = batches_in_order(self._train, batch=EVALUATION_BATCH)
        return KeptOutputs(torch.cat([live.logits(batch) for batch in batches]), {})

    def tap_mean_squares(self, batch: Batch) -> list[dict[str, float | str]]:
        """Mean square of each tapped map over `batch`, with its source's name and path."""
        found: list[dict[str, float | str]] = []
        for source, who in enumerate(self._sources):
            if not self._shapes(source):
                continue  # it teaches by its logits alone
            maps = self._live(source, logits=False, maps=True)(batch).maps
            for path, value in maps.items():
                unit = float(tap_mean_square(value))
                found.append({"source": who.name, "path": path, "mean_square": unit})
        return found

    def _on_train(self, source: int, *, logits: bool, maps: bool) -> SourceOutputs:
        if not logits and not maps:
            self._kept.pop(source, None)
            return no_outputs
        if self._augmented:
            return self._live(source, logits=logits, maps=maps)
        kept = self._kept.get(source)
        if kept is None or (logits and kept.logits is None) or (maps and not kept.maps):
            # The hint phase needs maps alone, yet its one pass keeps the logits for afterwards.
            outputs = self._outputs(
                source,
                self._train.x,
                len(self._train.y),
                logits=logits or source < self._softened,
                maps=maps,
            )
            if not isinstance(outputs, KeptOutputs):
                return self._live(source, logits=logits, maps=maps)
            kept = outputs
        elif not maps:
            kept = KeptOutputs(kept.logits, {})  # the maps have served; their memory is freed
        self._kept[source] = kept
        return kept

    def _outputs(
        self, source: int, stored: Mapping[str, Tensor], n: int, *, logits: bool, maps: bool
    ) -> SourceOutputs:
        shapes = self._shapes(source) if maps else {}
        classes = self._resolved.num_classes if logits else 0
        if bytes_to_keep(n, classes, list(shapes.values())) > KEEP_BYTES:
            return self._live(source, logits=logits, maps=maps)
        return keep_outputs(
            self._sources[source],
            stored,
            logits=logits,
            paths=sorted(shapes),
            autocast=self._profile.autocast,
        )

    def _live(self, source: int, *, logits: bool, maps: bool) -> LiveOutputs:
        return LiveOutputs(
            self._sources[source],
            logits=logits,
            paths=sorted(self._shapes(source)) if maps else [],
            autocast=self._profile.autocast,
        )

    def _shapes(self, source: int) -> dict[str, tuple[int, ...]]:
        name = self._resolved.stage.imitated[source]
        return {
            found.source_path: found.source_shape
            for found in self._resolved.hints
            if found.hint.stage == name
        }
