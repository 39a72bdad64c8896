"""One stage, run: build, sources' outputs, hint phase, main training, what is kept, measured.

Knows no store and no Ray: checkpoints go through a `Workspace`, progress through a listener.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from dmtsearch.data import Split, epoch_order
from dmtsearch.losses import place_merit
from dmtsearch.models import Taps, make_adapter
from dmtsearch.seeding import derive_seed
from dmtsearch.training.bank import Bank
from dmtsearch.training.batch import Augmentation, Batch, View, batches_in_order, in_order
from dmtsearch.training.evaluate import (
    EVALUATION_BATCH,
    Metrics,
    measure,
    predict,
    validation_batch,
)
from dmtsearch.training.folds import fold_of_samples, positions_without
from dmtsearch.training.loop import LossParts, Phase
from dmtsearch.training.objective import (
    HintObjective,
    HintPair,
    SoftTargets,
    TrainObjective,
    merit_over,
    spread_of_weights,
)
from dmtsearch.training.own_losses import hint_loss_of
from dmtsearch.training.phases import (
    CLOCKS,
    SAVE_EVERY_S,
    NoWorkspace,
    PhaseResult,
    Workspace,
    follow_phase,
    run_saved,
)
from dmtsearch.training.profile import Profile
from dmtsearch.training.progress import Listener, Row, go_on
from dmtsearch.training.rates import build_optimizer, build_scheduler
from dmtsearch.training.source_outputs import FrozenStage, SourceOutputs
from dmtsearch.training.stage_kind import (
    ResolvedStage,
    StageContext,
    StageJob,
    epochs_with_targets,
    hints_stay,
)
from dmtsearch.training.switch import should_switch
from dmtsearch.training.workers import Workers


@dataclass(frozen=True)
class HintOutcome:
    """A finished hint phase, whose weights a stage run now holds.

    Attributes:
        history: One row an epoch.
        record: As stored.
        reused: True where the store had it.
    """

    history: tuple[Row, ...]
    record: Mapping[str, Any]
    reused: bool


class StageRun:
    """A stage on a device, from built to measured.

    Args:
        resolved: What to run.
        seed: The stage's own seed, else the schedule's.
        model: The stage's model as it starts: fresh, from `init`, or from `weights`.
        view: How it reads its input.
        train, val: The splits, on `device`; a copy leaves out its fold of `train`.
        sources: In the order of the stage's `sources`.
        judges: In the order of the stage's `judges`.
        profile: Number formats and device.
        save_every_s: Seconds between checkpoints, at least; 0 writes one after every epoch.
        workers: The processes that train it together; None where this one is alone.
    """

    def __init__(
        self,
        resolved: ResolvedStage,
        *,
        seed: int,
        model: nn.Module,
        view: View,
        train: Split,
        val: Split,
        sources: Sequence[FrozenStage],
        judges: Sequence[FrozenStage] = (),
        profile: Profile,
        save_every_s: float = SAVE_EVERY_S,
        workers: Workers | None = None,
    ) -> None:
        self.workers = workers
        self.resolved, self.stage, self.seed = resolved, resolved.stage, seed
        self.profile, self.device = profile, profile.torch_device
        self.val = val
        self.train, folds = self._samples(train)
        self.viewer = profile.viewer(view)
        self.model = profile.place(model)
        self.pairs = self._hint_pairs()
        self.modules = nn.ModuleDict({"model": self.model})
        for number, pair in enumerate(self.pairs):
            self.modules[f"adapter{number}"] = pair.adapter
        self._save_every_s = save_every_s
        self.hinted: HintOutcome | None = None
        """Its hint phase, once its weights are here."""
        self.bank = Bank(resolved, sources, self.train, val, profile, judges, folds)
        self._weights_of: Callable[[int], Tensor]
        """a_i by merit's rule in an epoch from 0, [N], once it trains."""

    @property
    def earlier(self) -> tuple[Row, ...]:
        """History of its hint phase."""
        return self.hinted.history if self.hinted is not None else ()

    @property
    def hints_reused(self) -> bool:
        """Whether the store had its hint phase."""
        return self.hinted is not None and self.hinted.reused

    # -- what a stage is made of ------------------------------------------------------------

    def _samples(self, train: Split) -> tuple[Split, Tensor | None]:
        """The samples that it trains on, and of each the judge that was not trained on it."""
        stage = self.stage
        folds = fold_of_samples(len(train), len(stage.judges)) if stage.judges else None
        if stage.fold is None:
            return train, folds
        kept = positions_without(stage.fold, len(train))
        return train.take(kept.to(self.device)), None if folds is None else folds[kept]

    def _hint_pairs(self) -> tuple[HintPair, ...]:
        position = {name: number for number, name in enumerate(self.stage.imitated)}
        return tuple(
            HintPair(
                source=position[found.hint.stage],
                source_path=found.source_path,
                at=found.at_path,
                adapter=nn.Identity()
                if "adapter" in found.hint.unused
                else self.profile.place(
                    make_adapter(
                        found.at_shape,
                        found.source_shape,
                        kernel=found.hint.adapter.kernel,
                        norm=found.hint.adapter.norm,
                        relu=found.hint.adapter.relu,
                        seed=derive_seed(self.seed, "adapter", 0, number),
                    )
                ),
                weight=found.hint.weight,
                scale=found.hint.scale,
                loss=hint_loss_of(found.hint.loss),
                source_last=found.source_last,
                at_last=found.at_last,
            )
            for number, found in enumerate(self.resolved.hints)
        )

    # -- the hint phase ---------------------------------------------------------------------

    def run_hints(self, workspace: Workspace, listen: Listener) -> PhaseResult:
        """Train the layers up to the hint points on hints alone (FitNets, first phase)."""
        phase_spec = self.stage.hint_phase
        assert phase_spec is not None, "only called where the stage has a hint phase"
        self._begin("hint")
        with self._taps([pair.at for pair in self.pairs], stop=True) as student:
            objective = HintObjective(
                student,
                self.viewer,
                self.pairs,
                self.bank.for_hints(),
                self.profile.autocast,
            )
            on_val = HintObjective(
                student,
                self.viewer,
                self.pairs,
                self.bank.for_hints_on_val(),
                self.profile.autocast,
            )
            phase = self._phase(
                "hint",
                epochs=phase_spec.epochs,
                losses=objective,
                terms=objective.terms,
                validate=lambda: {"val_hint": self._val_hint(on_val)},
                keep_on="val_hint" if phase_spec.keep == "best" else None,
                keep_highest=False,
                switch=lambda values: False,
            )
            return self._run(phase, workspace, listen)

    def _val_hint(self, objective: HintObjective) -> float:
        was_training = self.modules.training
        self.modules.eval()
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        with torch.no_grad():
            for batch in batches_in_order(self.val, batch=EVALUATION_BATCH):
                total += objective.per_sample(batch).double().sum()
        self.modules.train(was_training)
        return float(total) / len(self.val)

    # -- the main training ----------------------------------------------------------------

    def run_training(
        self,
        workspace: Workspace,
        listen: Listener,
        *,
        at_epoch: Callable[[int], None] = lambda epoch: None,
    ) -> PhaseResult:
        """Train with labels, soft targets and (where they stay) hints; hold what is kept.

        Args:
            workspace: For checkpoints.
            listen: Asked after every epoch.
            at_epoch: Called with each epoch (from 1) at its end, while the modules hold its
                weights: later stages may learn from them.
        """
        self._begin("train")
        stay = hints_stay(self.stage)
        with self._taps([pair.at for pair in self.pairs] if stay else [], stop=False) as student:
            outputs = self.bank.for_training(maps=stay)
            steps = self._steps()
            objective = TrainObjective(
                student,
                self.viewer,
                hard=self.stage.hard,
                targets=self._soft_targets(outputs),
                sources=outputs,
                pairs=self.pairs if stay else (),
                seed=self.seed,
                steps=steps,
                autocast=self.profile.autocast,
            )
            phase = self._phase(
                "train",
                epochs=self.stage.epochs,
                losses=objective,
                terms=objective.terms,
                validate=self._val_values,
                keep_on="val_accuracy" if self.stage.keep == "best" else None,
                keep_highest=True,
                switch=lambda values: should_switch(self.stage.switch, values),
            )
            return self._run(phase, workspace, listen, earlier=self.earlier, at_epoch=at_epoch)

    def _soft_targets(self, outputs: Sequence[SourceOutputs]) -> SoftTargets | None:
        soft, merit = self.stage.soft, self.stage.merit
        if soft is None:
            return None
        epochs = epochs_with_targets(self.stage.epochs, soft.until)
        if merit is None:
            return SoftTargets(soft, epochs)
        judge = self.bank.for_merit(outputs[0])

        @lru_cache(maxsize=1)
        def weights(augmentation: Augmentation | None) -> Tensor:
            return merit_over(self.train, judge, soft, merit, augmentation)

        def placebo(epoch: int) -> Tensor:
            seed = derive_seed(self.seed, "shuffle")
            return place_merit(self._weights_of(epoch), placebo=merit.placebo, seed=seed)

        self._weights_of = lambda epoch: weights(self._augmentation(CLOCKS["train"](epoch)))
        return SoftTargets(
            soft,
            epochs,
            merit,
            judge=judge if self.stage.judges else None,
            placebo=None if merit.placebo == "none" else placebo,
        )

    def merit_weights(self) -> dict[str, float] | None:
        """How far merit is from a constant weight, by the views of the first epoch.

        Returns:
            `n` samples; the `mean` of a_i; the `commonest` a_i, to two digits, and the share of
            samples where it `differs` from that. Of a placebo, those of what it stands for. None
            without merit.
        """
        if self.stage.merit is None:
            return None
        return spread_of_weights(self._weights_of(0))

    def _val_values(self) -> dict[str, float]:
        metrics = self.measure(self.val)
        return {"val_accuracy": metrics.accuracy, "val_nll": metrics.nll}

    def measure(self, split: Split) -> Metrics:
        """Score the model as it is on a split."""
        batch = validation_batch(split.x[self.viewer.view.modality][0].numel(), self.device)
        batches = in_order(split.x, self.viewer, batch=batch)
        logits = predict(self.model, batches, autocast=self.profile.autocast)
        return measure(logits, split.y)

    def tap_mean_squares(self) -> list[dict[str, float | str]]:
        """Mean square of each source's tap over the first samples: the unit of its hint weight.

        Weights of layers whose mean squares differ by 100 do not mean the same.
        """
        if not self.pairs:
            return []
        first = next(batches_in_order(self.train, batch=EVALUATION_BATCH))
        return self.bank.tap_mean_squares(first)

    # -- several processes ------------------------------------------------------------------

    def _begin(self, phase: str) -> None:
        if self.workers is not None and self.workers.rank == 0:
            self.workers.tell(phase)

    def follow(self) -> None:
        """Run the phases that rank 0 runs, until it says that there are no more."""
        assert self.workers is not None, "only one of several processes follows"
        runs = {"hint": self.run_hints, "train": self.run_training}
        while (phase := self.workers.hear()) is not None:
            runs[phase](NoWorkspace(), go_on)

    # -- shared by both phases --------------------------------------------------------------

    def _taps(self, paths: Sequence[str], *, stop: bool) -> Taps:
        compiler = self.profile.compiler()
        return Taps(self.model, sorted(set(paths)), stop=stop, compiler=compiler)

    def _steps(self) -> int:
        batch, n = self.stage.optimizer.batch, len(self.train)
        return n // batch if self.stage.optimizer.drop_last else -(-n // batch)

    def _augmentation(self, clock: int) -> Augmentation | None:
        return None if self.stage.augment == "none" else Augmentation(self.seed, clock)

    def _batches(self, clock: int) -> Iterator[Batch]:
        order = epoch_order(len(self.train), seed=self.seed, epoch=clock).to(self.device)
        augmentation = self._augmentation(clock)
        size = self.stage.optimizer.batch
        for step in range(self._steps()):
            positions = order[step * size : (step + 1) * size]
            batch = Batch(self.train.x, self.train.y, self.train.index, positions, augmentation)
            yield batch if self.workers is None else self.workers.part(batch)

    def _phase(
        self,
        name: str,
        *,
        epochs: int,
        losses: Any,
        terms: tuple[str, ...],
        validate: Callable[[], dict[str, float]],
        keep_on: str | None,
        keep_highest: bool,
        switch: Callable[[list[dict[str, float]]], bool],
    ) -> Phase[Batch]:
        clock = CLOCKS[name]
        optimizer = build_optimizer(
            self.stage.optimizer, self.modules.parameters(), fused=self.profile.fused
        )
        steps = self._steps()
        scheduler = build_scheduler(self.stage.optimizer, optimizer, steps=max(1, steps * epochs))
        return Phase(
            stage=self.stage.name,
            name=name,
            clock=clock,
            epochs=epochs,
            steps=steps,
            seed=self.seed,
            modules=self.modules,
            optimizer=optimizer,
            scheduler=scheduler,
            batches=lambda epoch: self._batches(clock(epoch)),
            losses=losses if self.workers is None else _share_of(losses),
            terms=terms,
            validate=validate,
            keep_on=keep_on,
            keep_highest=keep_highest,
            should_switch=switch,
            val_every=self.stage.val_every,
            workers=self.workers,
        )

    def _run(
        self, phase: Phase[Batch], workspace: Workspace, listen: Listener, **more: Any
    ) -> PhaseResult:
        if self.workers is not None and self.workers.rank:
            return follow_phase(phase)
        return run_saved(phase, workspace, listen, save_every_s=self._save_every_s, **more)


def stage_run(
    job: StageJob,
    context: StageContext,
    model: nn.Module,
    sources: Sequence[FrozenStage],
    workers: Workers | None,
) -> StageRun:
    """A job's stage, built.

    Args:
        job: What to run.
        context: The data.
        model: As it starts.
        sources: Its sources, then its judges.
        workers: The processes that train it together; None where this one is alone.
    """
    num_sources = len(job.resolved.stage.imitated)
    return StageRun(
        job.resolved,
        seed=job.seed,
        model=model,
        view=job.view,
        train=context.train,
        val=context.val,
        sources=sources[:num_sources],
        judges=sources[num_sources:],
        profile=job.profile,
        save_every_s=context.save_every_s,
        workers=workers,
    )


def _share_of(losses: Callable[[Batch, int, int], LossParts]) -> Callable[..., LossParts]:
    """Losses of parts of batches, each in proportion: their sum is the loss of the batch."""

    def share(batch: Batch, epoch: int, step: int) -> LossParts:
        found = losses(batch, epoch, step)
        return LossParts(
            found.total * batch.share, tuple(part * batch.share for part in found.parts)
        )

    return share
