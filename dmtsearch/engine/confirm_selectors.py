"""How a run of selectors is confirmed: beside every rule, on the same degraded samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dmtsearch.errors import DamagedError, DmtSearchError, SourceMissingError, UsageError
from dmtsearch.human import listed
from dmtsearch.schedule import Schedule, SelectorStage, as_schedule, expand, read_model

from .confirm_arms import AtCost, replicate
from .confirm_kind import ConfirmKind
from .confirm_trials import Searched
from .confirm_variants import ChosenPath, Variant, variants_of
from .ledger import RunState
from .ledger_lines import TrialProposed
from .messages import Prepare
from .prepare import PrepareContext
from .run_summary import best_trial
from .selector_scores import (
    ALONE,
    BEST_BY_ARM,
    ORACLE,
    RULE_WORDS,
    SELECTOR,
    compare_selectors,
    method_accuracies,
    method_of,
    sweep_of,
    sweeps_of,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from dmtsearch.selectors.one_degraded import OneDegraded
    from dmtsearch.store import Store
    from dmtsearch.training.stage_kind import StageJob, TrainedModel

_PAPER_K = 5
_OF_CLASSIFIERS = ("hints", "hint_points", "merit", "soft", "switch", "until")


class ConfirmSelectors(ConfirmKind):
    """Selectors: accuracy over test with one modality degraded, by each kind trained on."""

    metric = "accuracy with one modality degraded"
    at_equal_cost = False
    takes_students = False
    one_model = False

    def __init__(self) -> None:
        self._scorer: OneDegraded | None = None

    def subject(self, chosen: Schedule) -> str:
        """A soft decision is no selection: it is called what it is."""
        return (
            "the chosen mixture" if _selector(chosen).decision == "soft" else "the chosen selector"
        )

    def val(self, arm: str, trial: TrialProposed, state: RunState) -> float:
        """The same metric on val, by the arm's own rule; 0 of a trial that is not done."""
        found = method_accuracies(sweep_of(state, trial.key), one_degraded=True)
        return found.get(method_of(arm), 0.0)

    def controls(
        self, chosen: Schedule, searched: Searched, at_cost: AtCost, prepare: Prepare
    ) -> tuple[dict[str, Schedule], dict[str, str]]:
        """Each modality alone and each rule on the chosen's outputs; what is best by a rule.

        Raises:
            UsageError: No selector of the search has scores on val.
        """
        sweeps, best = sweeps_of(searched.state), best_trial(searched.state)
        if best is None or not sweeps:
            raise UsageError(
                f"{searched.root}: its ledger has no selector's scores on val (an earlier version "
                "wrote it, or a line was lost), so there is no rule to compare with; search anew"
            )
        sweep = sweeps.get(best.trial) or next(iter(sweeps.values()))
        missing = dict(sweep.get("missing", {}))
        found = {
            name: chosen
            for name in method_accuracies(sweep)
            if name not in (SELECTOR, ORACLE, *missing)
        }
        compared = compare_selectors(sweeps, best.trial)
        for rule, one in compared.best_by.items() if compared is not None else ():
            schedule = searched.schedule(one.trial)
            if _classifier_keys(schedule, prepare) == _classifier_keys(chosen, prepare):
                missing[BEST_BY_ARM + rule] = (
                    f"trial {one.trial} has the chosen schedule's classifiers"
                )
            else:
                found[BEST_BY_ARM + rule] = schedule
        return found, missing

    def variants(self, path: ChosenPath, dimensions: Sequence[str]) -> tuple[Variant, ...]:
        """Of the selector, and of how its classifiers were trained; not at one cost."""
        known = {path.prepare(path.schedule).key}
        found = []
        for one in _selector_variants(path.schedule):
            if one.dimension not in dimensions:
                continue
            try:
                key = path.prepare(one.schedule).key
            except DmtSearchError:  # more probabilities than there are classes
                continue
            if key not in known:
                known.add(key)
                found.append(one)
        classifiers = replace(path, at_cost=replicate)
        wanted = [name for name in dimensions if name in _OF_CLASSIFIERS]
        return (*found, *variants_of(classifiers, wanted))

    def answers(self, job: StageJob, context: PrepareContext, store: Store) -> npt.NDArray[Any]:
        """By method, as fields, whether each sample is answered rightly, [conditions, N]."""
        import numpy as np

        from dmtsearch.selectors.one_degraded import OneDegraded
        from dmtsearch.training.profile import Profile, pick_device

        if self._scorer is None:
            profile = Profile(device=pick_device(None))
            self._scorer = OneDegraded(context.data, "test", context.objects, profile)
        right = self._scorer.right(job, _reader(store))
        shape = next(iter(right.values())).shape
        found = np.zeros(tuple(shape), dtype=[(name, np.bool_) for name in right])
        for name, values in right.items():
            found[name] = values.numpy()
        return found

    def score(self, arm: str, answers: npt.NDArray[Any], context: PrepareContext) -> float:
        """Mean over conditions and samples, by the arm's own rule."""
        method = method_of(arm)
        if method not in (answers.dtype.names or ()):
            raise DmtSearchError(
                f"{arm}: the rule could not be fitted in a replicate, though it could in the "
                "search; give --trial with another trial"
            )
        return float(answers[method].mean())

    def delivers(self, arm: str, schedule: Schedule) -> tuple[Schedule, str | None]:
        """One modality alone is its classifier; a rule has no file, and is said in words."""
        select = _selector(schedule)
        whole, method = expand(schedule), method_of(arm)
        if method == SELECTOR:
            return schedule, None
        if method.startswith(ALONE):
            modality = method.removeprefix(ALONE)
            name = next(n for n in select.stages if whole.stage(n).modality == modality)
            alone = replace(whole, deliver=name, data=replace(whole.data, selector=None))
            return as_schedule(replace(alone, stages=alone.needed())), (
                f"{modality} alone, by its classifier {name}: no other is needed. Trained without "
                "a selector, it also learns from the samples that were kept for one"
            )
        names = listed(list(select.stages))
        return schedule, (
            f"{method}, a rule without a selector: {RULE_WORDS.get(method, 'it decides')}. This "
            f"schedule trains its classifiers, {names}, with a selector "
            "that the rule does not need; `dmtsearch evaluate` scores the rule too. No exported "
            "file decides by a rule: apply it to what "
            f"`dmtsearch.load_bundle(DIR).model.classifiers` ({names}) say, or train and export "
            "each classifier by a file of its own, without the other stages"
        )


def _reader(store: Store) -> Callable[[TrainedModel], bytes]:
    from dmtsearch.training.stage_kind import MODEL_FILE

    def read(one: TrainedModel) -> bytes:
        stored = store.get(one.key)
        try:
            if stored is None:
                raise SourceMissingError(one.name, one.key, "is no longer in the store")
            return stored.read(MODEL_FILE)
        except DamagedError as error:
            raise SourceMissingError(one.name, one.key, "is damaged") from error

    return read


def _selector(schedule: Schedule) -> SelectorStage:
    whole = expand(schedule)
    found = whole.stage(whole.deliver)
    assert isinstance(found, SelectorStage), "a run of selectors delivers one"
    return found


def _classifier_keys(schedule: Schedule, prepare: Prepare) -> list[str]:
    keys = {stage.request.name: stage.request.key for stage in prepare(schedule).stages}
    return [keys[name] for name in _selector(schedule).stages]


def _selector_variants(chosen: Schedule) -> Iterator[Variant]:
    whole, last = expand(chosen), _selector(chosen)
    k = last.k if last.inputs == "topk" and last.k is not None else _PAPER_K

    def other(dimension: str, name: str, **fields: Any) -> Variant:
        stages = [replace(s, **fields) if s.name == last.name else s for s in whole.stages]
        return Variant(dimension, name, as_schedule(replace(whole, stages=tuple(stages))))

    # First: of two variants that are one schedule the first is kept.
    yield other(
        "paper",
        f"the paper's own selector (topk with k {k}, hard, undegraded)",
        inputs="topk",
        k=k,
        target="undegraded",
        decision="hard",
    )
    for inputs in ("topk", "posterior", "logits", "moments"):
        words = f"topk, k {k}" if inputs == "topk" else inputs
        yield other("inputs", f"reads {words}", inputs=inputs, k=k if inputs == "topk" else None)
    if last.inputs == "topk":
        for number in (k // 2 or 3, 2 * k):
            yield other("k", f"k {number}", k=number)
    for name, hidden in _other_hidden(last.model):
        yield other("hidden", name, model=read_model({**last.model, "hidden": hidden}))
    for target in ("undegraded", "right"):
        yield other("target", f"learns target {target}", target=target)
    for decision, words in (("soft", "a mixture (soft)"), ("hard", "a selection (hard)")):
        yield other("decision", words, decision=decision)


def _other_hidden(model: Mapping[str, Any]) -> Iterator[tuple[str, list[int]]]:
    if model.get("family") != "mlp":
        return
    hidden = list(model.get("hidden", ()))
    if hidden:
        yield "no hidden layer", []
    half, double = [max(1, n // 2) for n in hidden] or [16], [2 * n for n in hidden] or [32]
    for other in (half, double):
        yield f"hidden layers {'-'.join(map(str, other))}", other
