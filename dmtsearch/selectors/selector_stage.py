"""A selector stage: what it asks of the data, its key, how it runs, what its bundle holds."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor, nn

from dmtsearch.data import DataFacts, DataSet, Split
from dmtsearch.data.degradations import DEGRADATIONS
from dmtsearch.errors import DataError
from dmtsearch.preimages import STAGE_FORMAT, without_defaults
from dmtsearch.schedule import Degrade, Expanded, Select, Stage
from dmtsearch.selectors.decision import Prediction, predict_with, targets_of
from dmtsearch.selectors.degraded_outputs import (
    DRAWS,
    SWEEP_VERSION,
    DrawOutputs,
    SweepOutputs,
    draw_outputs,
    falls_on,
    logits_of,
    sweep_outputs,
)
from dmtsearch.selectors.ensemble import ensemble_bytes, selector_info
from dmtsearch.selectors.features import selector_features, selector_inputs
from dmtsearch.selectors.fusion_rules import fit_rules
from dmtsearch.selectors.metrics import Counts, average, count_oracle, count_right, score_methods
from dmtsearch.selectors.net import SelectorDataset, SelectorNet, selector_phase
from dmtsearch.training.batch import NO_VIEW, View
from dmtsearch.training.evaluate import Latency, measure_latency
from dmtsearch.training.keys import ELSEWHERE, key_of
from dmtsearch.training.phases import SAVE_EVERY_S, PhaseResult, Workspace, run_saved
from dmtsearch.training.profile import Profile
from dmtsearch.training.progress import Listener, Row
from dmtsearch.training.records import versions
from dmtsearch.training.source_outputs import FrozenStage
from dmtsearch.training.stage_kind import (
    KeyParts,
    Problem,
    ResolvedStage,
    StageCosts,
    StageJob,
    StageKeys,
    StageKind,
    StageWork,
    Surroundings,
    TrainedModel,
)
from dmtsearch.training.switch import should_switch


def select_of(stage: Stage) -> Select:
    """What a selector stage selects from, and how."""
    assert stage.select is not None, "a selector stage"
    return stage.select


@dataclass(frozen=True)
class SelectorKind(StageKind):
    """A stage with `select`: a net between the outputs of trained classifiers."""

    def in_shape(self, stage: Stage, among: Surroundings) -> tuple[tuple[int, ...], list[Problem]]:
        """The features of its classifiers' outputs."""
        select = select_of(stage)
        problems = list(select_problems(select, among.expanded, among.facts))
        return selector_features(select, among.facts.num_classes), problems

    def num_outputs(self, stage: Stage, facts: DataFacts) -> int:
        """A logit for each modality."""
        return len(select_of(stage).stages)

    def epoch_rows(self, num_samples: int | None) -> tuple[int | None, str]:
        """The draws of the `selector` split."""
        rows = None if num_samples is None else DRAWS * num_samples
        return rows, f"the selector's {DRAWS} draws of {num_samples} samples ({rows})"

    def costs(self, resolved: ResolvedStage, num_samples: int) -> StageCosts:
        """Its epochs go over the draws; what its classifiers say is computed once.

            N_selector x (3 M epochs draws + sum of classifier MACs x (1 + draws / classifiers))

        Each classifier runs once on the samples as they are, and once on its share of the draws,
        in each of which one modality is degraded. Scoring on val is not counted, as of no stage.
        """
        macs = resolved.source_macs
        read = sum(macs) * (len(macs) + DRAWS) // len(macs)
        return StageCosts(
            epoch=3 * resolved.macs * DRAWS * num_samples,
            hint_epoch=0,
            sources=read * num_samples,
            repeated=False,
        )

    def view(self, resolved: ResolvedStage, data: DataSet) -> View:
        """It reads what classifiers say, and no sample."""
        return NO_VIEW

    def keys(self, resolved: ResolvedStage, parts: KeyParts) -> StageKeys:
        """The seed is also that of its degraded draws; its classifiers are their keys."""
        stage = resolved.stage
        preimage = {
            "format": STAGE_FORMAT,
            "kind": "selector",
            **(without_defaults(stage, without=ELSEWHERE) if stage.epochs else {"epochs": 0}),
            "model": parts.model,
            "data": parts.data,
            "profile": parts.profile,
            "classifiers": parts.source_keys,
            "select": without_defaults(select_of(stage), without=("stages",)),
            "sweep": SWEEP_VERSION,
            "seed": parts.seed,
        }
        return StageKeys(key_of(preimage), preimage)

    def start(
        self, work: StageWork, model: nn.Module, sources: Sequence[FrozenStage]
    ) -> "SelectorRun":
        """Its classifiers' outputs are computed here."""
        job, context = work.job, work.context
        assert context.selector is not None, "a schedule with a selector has its split"
        return SelectorRun(
            job.resolved,
            seed=job.seed,
            model=model,
            classifiers=sources,
            selector=context.selector,
            val=context.val,
            train=context.train,
            profile=job.profile,
            save_every_s=context.save_every_s,
        )

    def record(
        self, job: StageJob, run: "SelectorRun", result: PhaseResult, *, seconds: float
    ) -> dict[str, Any]:
        """The selector with every fusion rule beside it on the same outputs.

        `params` and `macs` are the net's own, `latency` is one sample's way through the
        classifiers and the net.
        """
        resolved = job.resolved
        return {
            "name": job.name,
            "model": dict(resolved.model),
            "in_shape": list(resolved.in_shape),
            "num_classes": resolved.num_classes,
            "view": asdict(job.view),
            "select": {
                **asdict(run.select),
                "degrade": [way.preimage() for way in run.select.degrade],
            },
            "modalities": run.modalities,
            "params": resolved.params,
            "macs": resolved.macs,
            "metrics": {"val": run.measure()},
            "val_sweep": run.compare(),
            "latency": asdict(run.latency()),
            "epochs": len(result.history),
            "kept_epoch": result.kept_epoch,
            "hint_epochs": 0,
            "tap_mean_squares": [],
            "history": [dict(row) for row in result.history],
            "seconds": seconds + run.seconds_of_outputs,
            "hint_seconds": 0.0,
            "hints_by": [None, None],
            "versions": versions(),
        }

    def nets(self, job: StageJob) -> tuple[TrainedModel, ...]:
        """Its classifiers."""
        return job.sources

    def bundle_facts(
        self, job: StageJob, records: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The block `selector`, and how many classes are decided between."""
        classifiers = [records[name] for name in select_of(job.resolved.stage).stages]
        return {
            "selector": selector_info(job, records[job.name], classifiers),
            "num_classes": classifiers[0]["num_classes"],
        }

    def bundle_weights(self, job: StageJob, read: Callable[[str], bytes]) -> bytes:
        """Those of the classifiers and of the selector, in one file."""
        return ensemble_bytes([read(one.key) for one in job.sources], read(job.keys.key))


def select_problems(
    select: Select, expanded: Expanded, facts: DataFacts
) -> Iterator[tuple[str, str]]:
    """What is wrong with a selector for data of these facts: the field, and the rule it breaks."""
    if select.k is not None and select.k > facts.num_classes:
        yield (
            "k",
            f"topk with k {select.k}, and the data has {facts.num_classes} classes; write "
            f"k: {facts.num_classes} or less",
        )
    names = [expanded.stage(name).modality for name in select.stages]
    shapes = {name: facts.shapes[name] for name in names if name in facts.shapes and name}
    kinds = [degrade.kind for degrade in select.degrade]
    fit = {kind for kind in kinds if any(falls_on(kind, shape) for shape in shapes.values())}
    fitting = [way for way in select.degrade if way.kind in fit]
    for kind in dict.fromkeys(kinds):
        if shapes and kind not in fit:
            forms = " or ".join(DEGRADATIONS[kind].functions)
            # The default has it too, where a user wrote nothing that could be dropped.
            rest = f"write `degrade: {_shown(fitting)}`" if fitting else "drop it"
            yield "degrade", f"{kind} falls on {forms}, which no modality here is; {rest}"
    for name, shape in shapes.items():
        if not any(falls_on(kind, shape) for kind in kinds):
            others = ", ".join(kind for kind in DEGRADATIONS if falls_on(kind, shape))
            yield (
                "degrade",
                f"nothing of it falls on modality {name!r}, which would never be degraded; add "
                f"one of {others}",
            )


def _shown(ways: Iterable[Degrade]) -> str:
    """Ways to degrade, as a schedule writes them."""
    found = [f"{{kind: {way.kind}, severity: [{way.low:g}, {way.high:g}]}}" for way in ways]
    return f"[{', '.join(found)}]"


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

    earlier: tuple[Row, ...] = ()
    """Nothing is trained before the selector."""
    hints_reused = False

    def __init__(
        self,
        resolved: ResolvedStage,
        *,
        seed: int,
        model: nn.Module,
        classifiers: Sequence[FrozenStage],
        selector: Split,
        val: Split,
        train: Split,
        profile: Profile,
        save_every_s: float = SAVE_EVERY_S,
    ) -> None:
        started = time.monotonic()
        stage = resolved.stage
        assert stage.select is not None, "a selector stage"
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
        self._dataset = self._make_dataset()
        self.oracle = count_oracle(self.sweep)
        self._inputs = [self._read(self.sweep.logits(one)) for one in self.sweep.conditions]

        self.seconds_of_outputs = time.monotonic() - started
        """Wall-clock of the classifiers' passes."""

    def _read(self, logits: Tensor) -> Tensor:
        return selector_inputs(logits, inputs=self.select.inputs, k=self.select.k)

    def _make_dataset(self) -> SelectorDataset:
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
        return SelectorDataset(features, targets)

    def run_training(
        self,
        workspace: Workspace,
        listen: Listener,
        *,
        at_epoch: Callable[[int], None] = lambda epoch: None,
    ) -> PhaseResult:
        """Train the net; hold what is kept. Arguments as of `StageRun.run_training`."""
        phase = selector_phase(
            self.stage.name,
            self.model,
            self._dataset,
            self.stage.optimizer,
            epochs=self.stage.epochs,
            seed=self.seed,
            validate=self._val_values,
            keep_on="val_accuracy" if self.stage.keep == "best" else None,
            should_switch=lambda values: should_switch(self.stage.switch, values),
            val_every=self.stage.val_every,
        )
        return run_saved(
            phase,
            workspace,
            listen,
            save_every_s=self._save_every_s,
            at_epoch=at_epoch,
        )

    def predict(self, logits: Tensor, features: Tensor | None = None) -> Prediction:
        """What the selector predicts as it is now, on classifiers' logits [N, M, K]."""
        return predict_with(self.model, self.select, logits, features)

    def _counts(self) -> list[Counts]:
        found = []
        for condition, features in zip(self.sweep.conditions, self._inputs, strict=True):
            logits = self.sweep.logits(condition)
            prediction = self.predict(logits, features)
            found.append(count_right(prediction, logits, self.sweep.labels, condition.degraded))
        return found

    def _val_values(self) -> dict[str, float]:
        found = self.measure()
        names = {"val_accuracy": "accuracy", "val_nll": "nll", "val_regret": "regret"}
        nan = float("nan")  # a NLL without bound is reported as a divergence
        return {name: nan if found[of] is None else found[of] for name, of in names.items()}

    def measure(self) -> dict[str, Any]:
        """Score the selector as it is now over val's sweep (see `average`)."""
        return average(self._counts(), self.oracle)

    def latency(self) -> Latency:
        """Time of one sample's way through all classifiers and the selector."""
        whole = _TimedRun(self, {name: x[:1] for name, x in self._val.x.items()})
        return measure_latency(whole, self.sweep.labels[:1])

    def compare(self) -> Mapping[str, Any]:
        """The selector beside every fusion rule, over val's sweep (see `score_methods`)."""
        logits, _, labels = self.draws.rows()
        rules = fit_rules(logits, labels, self.modalities)
        return score_methods(self.sweep, self.predict, rules, self.modalities)


class _TimedRun(nn.Module):
    """Classifiers and selector as one, for their latency."""

    def __init__(self, run: SelectorRun, stored: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._run, self._stored = run, stored

    def forward(self, sample: Tensor) -> Tensor:
        run = self._run
        logits = logits_of(run.classifiers, self._stored, run.profile)
        return run.predict(logits).log_probs
