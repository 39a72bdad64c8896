"""Rules between the fields of one stage: what must be together, what has no effect."""

from collections.abc import Mapping
from typing import Any

from .blocks import AUTO, Delta, Optimizer, Sgd, Soft
from .inherit import PlainStage, idle_fields, is_off
from .model import FAMILIES, MODEL_FORMS, model_class, model_form
from .places import get
from .problems import ProblemReport
from .stage import NOT_IN_DEFAULTS
from .values import plain

_EXAMPLE = "family: plain, widths: [16, 32]"
_EXAMPLE_SELECT = "family: mlp, hidden: [32]"


def check_stage(stage: PlainStage, report: ProblemReport) -> None:
    """Check everything that needs no other stage; what a broken field would decide is left open.

    Args:
        stage: The stage with what it inherits.
        report: Takes the problems.
    """
    _idle(stage, report)
    if not stage.is_select:
        _soft_weight(stage, report)
        _merit(stage, report)
        _hints(stage, report)
    _optimizer(stage, report)
    _switch(stage, report)
    _workers(stage, report)
    _model(stage, report)


def check_defaults(defaults: Mapping[str, Any], report: ProblemReport) -> None:
    """Refuse what cannot be inherited."""
    for name in NOT_IN_DEFAULTS:
        if name in defaults:
            report.add(("defaults", name), "cannot be inherited; write it in the stage")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _idle(stage: PlainStage, report: ProblemReport) -> None:
    for idle in idle_fields(stage, report.lines):
        value = get(stage.own, idle.path)
        if value is None or not idle.written or (idle.may_be_off and is_off(value)):
            continue
        if not stage.broken.intersection((str(idle.path[0]), *idle.needs)):
            report.add(stage.at(*idle.path), idle.rule)


def _soft_weight(stage: PlainStage, report: ProblemReport) -> None:
    weight = stage.get("soft", "weight")
    if stage.broken & {"soft", "source", "repeat", "hard"} or not _is_number(weight):
        return
    if weight > 1 and stage.get("hard", "weight") is None:
        rule = "must be <= 1 where hard.weight is not given (it is 1 - weight)"
        report.add(stage.at("soft", "weight"), rule, weight)


def _merit(stage: PlainStage, report: ProblemReport) -> None:
    merit, soft = stage.block("merit"), stage.get("soft")
    if merit is None or "merit" in stage.broken:
        return
    hard = stage.get("hard", "weight")
    if hard is not None and "hard" not in stage.broken:
        rule = f"cannot stand together with hard.weight ({plain(hard)}); drop one of them"
        report.add(stage.at("merit"), rule)
    if merit.get("rule") != "delta" or soft == "none" or "soft" in stage.broken:
        return
    step, middle = merit.get("increment", Delta.increment), get(soft, ("weight",), Soft.weight)
    if not _is_number(step) or not _is_number(middle):
        return
    for value in (middle + step, middle - step):
        # Ten digits: 0.9 + 0.1 is 1 for people, whatever it is in binary.
        if not 0 <= round(value, 10) <= 1:
            at = ("merit", "increment") if "increment" in merit else ("merit",)
            report.add(
                stage.at(*at),
                f"gives a sample the soft weight {round(value, 10):g} "
                f"(soft.weight {middle:g}, increment {step:g}); it must lie in [0, 1]",
            )


def _hints(stage: PlainStage, report: ProblemReport) -> None:
    if stage.broken & {"hints", "source"}:
        return
    for number, hint in enumerate(stage.hints):
        kernel = get(hint, ("adapter", "kernel"))
        if isinstance(kernel, int) and kernel % 2 == 0:
            at = stage.at("hints", number, "adapter", "kernel")
            report.add(at, "must be odd, so that maps keep their size", kernel)


def _optimizer(stage: PlainStage, report: ProblemReport) -> None:
    block = stage.block("optimizer")
    if block is None or "optimizer" in stage.broken:
        return
    if block.get("nesterov") is True and block.get("momentum", Sgd.momentum) == 0:
        report.add(stage.at("optimizer", "nesterov"), "needs a momentum above 0")


def _switch(stage: PlainStage, report: ProblemReport) -> None:
    block = stage.block("switch")
    if block is None or stage.broken & {"switch", "optimizer"}:
        return
    schedule = stage.get("optimizer", "schedule", default=Optimizer.schedule)
    if block.get("when") == "plateau" and schedule == "one_cycle":
        report.warn(
            stage.at("switch", "when"),
            "a one-cycle rate falls only towards the last epoch, so a plateau may end the "
            "stage too early; optimizer.schedule: constant or cosine goes with it",
        )


def _workers(stage: PlainStage, report: ProblemReport) -> None:
    """What one process does, several do not."""
    workers = stage.get("resources", "workers", default=1)
    if "resources" in stage.broken or not _is_number(workers) or workers < 2:
        return
    here = stage.at("resources", "workers")
    if stage.is_select:
        report.add(here, "must be 1 in a `select` stage, which trains in one process", workers)
    for field in ("compile", "cuda_graphs"):
        if stage.get(field) is True and field not in stage.broken:
            report.add(here, f"must be 1 with {field}: true, which is for one process", workers)
    gpu = stage.get("resources", "gpu", default=AUTO)
    if gpu not in (AUTO, 0, 1):
        rule = "must be auto, 0 (the CPU) or 1 where there are several workers: one GPU for each"
        report.add(stage.at("resources", "gpu"), rule, gpu)


# -- the model ----------------------------------------------------------------------------------


def _model(stage: PlainStage, report: ProblemReport) -> None:
    """One form, a width said in one way, a size that holds."""
    if "model" in stage.broken:
        return
    model = stage.block("model")
    if model is None:
        example = _EXAMPLE_SELECT if stage.is_select else _EXAMPLE
        others = "a factory" if stage.is_select else "one of the other forms"
        rule = f"is missing; write `model: {{{example}}}` or {others}"
        report.add(stage.at("model"), rule)
        return
    forms = [form for form in MODEL_FORMS if form in model]
    if len(forms) != 1:
        given = f"; got {' and '.join(forms)}" if forms else ""
        rule = f"must have exactly one of {', '.join(MODEL_FORMS)}{given}"
        report.add(stage.at("model"), rule)
        return
    form = model_form(model)
    kind = model_class(form)
    if form is None or kind is None:
        return
    for field, rule, *value in kind.problems(model):
        report.add(stage.at("model", *([field] if field else [])), rule, *value)
    _start(stage, model, form, report)
    if "size" in model:
        _size(stage, model["size"], report)
    if stage.is_select and not kind.READS_FEATURES:
        families = [name for name, known in FAMILIES.items() if known.READS_FEATURES]
        use = f"use family: {' or '.join(families)} or a factory"
        rule = f"a `select` stage reads outputs, not images; {use}"
        report.add(stage.at("model", form[0]), rule, form[1])


def _start(
    stage: PlainStage, model: Mapping[str, Any], form: tuple[str, str], report: ProblemReport
) -> None:
    """What the model begins from; a stage of no epochs is meant for weights from somewhere."""
    has_init = stage.get("init", default="none") != "none"
    if "weights" in model and has_init and "init" not in stage.broken:
        rule = "cannot stand together with model.weights; drop one of them"
        report.add(stage.at("init"), rule)
    untrained = stage.block("hint_phase") is None and form[0] != "factory"
    if stage.get("epochs") == 0 and untrained and not has_init and "weights" not in model:
        rule = "0 epochs without model.weights or init leave the model untrained"
        report.warn(stage.at("epochs"), rule)


def _size(stage: PlainStage, size: Any, report: ProblemReport) -> None:
    if not isinstance(size, dict):
        return
    at, params, between = size.get("at"), size.get("params"), size.get("between")
    here = stage.at("model", "size")
    if (at is None) == (params is None):
        report.add(here, "must have either at (with between) or params", size)
    elif at is not None and between is None:
        rule = "is missing; write `between: [START, END]`, or the number alone"
        report.add((*here, "between"), rule)
    if between is not None and params is not None:
        rule = "has no effect: params is absolute; drop the field"
        report.add((*here, "between"), rule)
    if isinstance(between, list) and len({str(end) for end in between}) == 1:
        report.add((*here, "between"), "must name two unlike stages", between)
