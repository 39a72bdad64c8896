"""A selector stage, run: classifiers' outputs once, training on them, scores over val's sweep.

Like `StageRun` it knows no store and no Ray.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dmtsearch.data import Split
from dmtsearch.errors import DataError
from dmtsearch.schedule import Select
from dmtsearch.training.baselines import fit_baselines
from dmtsearch.training.evaluate import Latency, measure_latency
from dmtsearch.training.outputs import draw_outputs, logits_of, sweep_outputs
from dmtsearch.training.phases import SAVE_EVERY_S, PhaseResult, Workspace, run_saved
from dmtsearch.training.plan import ResolvedStage
from dmtsearch.training.profile import Profile
from dmtsearch.training.progress import Listener, Row
from dmtsearch.training.scores import Tally, summarise, tally, tally_oracle
from dmtsearch.training.scoring import score_methods
from dmtsearch.training.selecting import Verdict, decide, selector_inputs, targets_of
from dmtsearch.training.selector import Lesson, SelectorNet, selector_phase
from dmtsearch.training.sources import Source
from dmtsearch.training.sweep import DrawOutputs, SweepOutputs
from dmtsearch.training.switch import should_switch


class SelectorRun:
    """A selector stage on a device, from built to measured.

    Args:
        resolved: What to run.
        seed: The stage's own seed, else the schedule's.
        model: The net as it starts.
        classifiers: Trained and frozen, in the order of the stage's `select`.
        selector, val: Splits, on `device`. The first is learned from and never scored; the
            classifiers have seen neither.
        train: Only what degradations of features put in place of a value is measured on it.
        profile: Number formats and device.
        save_every_s: Seconds between checkpoints, at least.

    Raises:
        DataError: No draw has exactly one right classifier, and the target is `right`.
    """

    def __init__(
        self,
        resolved: ResolvedStage,
        *,
        seed: int,
        model: nn.Module,
        classifiers: Sequence[Source],
        selector: Split,
        val: Split,
        train: Split,
        profile: Profile,
        save_every_s: float = SAVE_EVERY_S,
    ) -> None:
        started = time.monotonic()
        stage = resolved.stage
        assert stage.select is not None, "only made for selectors"
        self.resolved, self.stage, self.seed = resolved, stage, seed
        self.select: Select = stage.select
        self.profile, self.classifiers = profile, tuple(classifiers)
        self.modalities = [source.viewer.view.modality for source in classifiers]
        self.draws: DrawOutputs = draw_outputs(
            classifiers, selector, train, self.select.degrade, profile, seed=seed
        )
        self.sweep: SweepOutputs = sweep_outputs(
            classifiers, val, train, "val", [way.kind for way in self.select.degrade], profile
        )
        self.model = SelectorNet(model, resolved.in_shape[0]).to(profile.torch_device)
        self._save_every_s, self._val = save_every_s, val
        self._lesson = self._make_lesson()
        self.oracle = tally_oracle(self.sweep)
        self._inputs = [self._read(self.sweep.logits(one)) for one in self.sweep.conditions]

        self.seconds_of_outputs = time.monotonic() - started
        """Wall-clock of the classifiers' passes."""

    def _read(self, logits: Tensor) -> Tensor:
        return selector_inputs(logits, inputs=self.select.inputs, k=self.select.k)

    def _make_lesson(self) -> Lesson:
        logits, degraded, labels = self.draws.rows()
        targets = targets_of(degraded, logits, labels, target=self.select.target)
        if not bool(targets.any()):
            raise DataError(
                f"stage {self.stage.name!r}: in none of the {len(labels):,} draws is exactly one "
                "classifier right, so that `target: right` teaches nothing; write "
                "`target: undegraded`, or degrade more"
            )
        features = self._read(logits)
        self.model.measure(features)
        return Lesson(features, targets)

    def run_training(
        self,
        workspace: Workspace,
        listen: Listener,
        *,
        earlier: tuple[Row, ...] = (),
        at_epoch: Callable[[int], None] = lambda epoch: None,
    ) -> PhaseResult:
        """Train the net; hold what is kept. Arguments as of `StageRun.run_training`."""
        phase = selector_phase(
            self.stage.name,
            self.model,
            self._lesson,
            self.stage.optimizer,
            epochs=self.stage.epochs,
            seed=self.seed,
            validate=self._val_values,
            keep_on="val_accuracy" if self.stage.keep == "best" else None,
            should_switch=lambda values: should_switch(self.stage.switch, values),
        )
        return run_saved(
            phase,
            workspace,
            listen,
            save_every_s=self._save_every_s,
            earlier=earlier,
            at_epoch=at_epoch,
        )

    def verdict(self, logits: Tensor, features: Tensor | None = None) -> Verdict:
        """What the selector says as it stands, on classifiers' logits [N, M, K]."""
        return verdict_of(self.model, self.select, logits, features)

    def _tallies(self) -> list[Tally]:
        found = []
        for condition, features in zip(self.sweep.conditions, self._inputs, strict=True):
            logits = self.sweep.logits(condition)
            verdict = self.verdict(logits, features)
            found.append(tally(verdict, logits, self.sweep.labels, condition.degraded))
        return found

    def _val_values(self) -> dict[str, float]:
        found = self.measure()
        names = {"val_accuracy": "accuracy", "val_nll": "nll", "val_regret": "regret"}
        nan = float("nan")  # a NLL without bound is told as a divergence
        return {name: nan if found[of] is None else found[of] for name, of in names.items()}

    def measure(self) -> dict[str, Any]:
        """Score the selector as it stands over val's sweep (see `summarise`)."""
        return summarise(self._tallies(), self.oracle)

    def latency(self) -> Latency:
        """Time of one sample's way through all classifiers and the selector."""
        whole = _Whole(self, {name: x[:1] for name, x in self._val.x.items()})
        return measure_latency(whole, self.sweep.labels[:1])

    def compare(self) -> Mapping[str, Any]:
        """The selector beside every baseline, over val's sweep (see `score_methods`)."""
        logits, _, labels = self.draws.rows()
        baselines = fit_baselines(logits, labels, self.modalities)
        return score_methods(self.sweep, self.verdict, baselines, self.modalities)


class _Whole(nn.Module):
    """Classifiers and selector as one, for their latency."""

    def __init__(self, run: SelectorRun, stored: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._run, self._stored = run, stored

    def forward(self, sample: Tensor) -> Tensor:
        run = self._run
        logits = logits_of(run.classifiers, self._stored, run.profile)
        return run.verdict(logits).log_probs


def verdict_of(
    net: nn.Module,
    select: Select,
    logits: Tensor,
    features: Tensor | None = None,
    present: Tensor | None = None,
) -> Verdict:
    """A selector's verdict on classifiers' logits [N, M, K], in eval mode.

    Args:
        net: Reads features, gives a logit for each modality.
        select: What it reads, and how it decides.
        logits: The classifiers'.
        features: What it reads of them, where that is known already.
        present: Which modalities there are (see `decide`).
    """
    if features is None:
        features = selector_inputs(logits, inputs=select.inputs, k=select.k)
    was_training = net.training
    net.eval()
    try:
        with torch.inference_mode():
            return decide(net(features), logits, decision=select.decision, present=present)
    finally:
        net.train(was_training)
