"""Rules between the fields of a model, as far as its text tells."""

from .check_stage import StageCheck
from .forms import FAMILY_FIELDS, FORM_FIELDS, MODEL_FORMS, PRESETS, model_fields, model_form
from .merge import Merged
from .node import Node
from .problems import Report, either

_EXAMPLE = "family: plain, widths: [16, 32]"


def check_model(stage: Merged, report: Report) -> None:
    """Check a stage's model: one form, its fields, a width said in one way, a size that holds."""
    if "model" in stage.broken:
        return
    model = stage.block("model")
    if model is None:
        example = "family: mlp, hidden: [32]" if stage.is_select else _EXAMPLE
        others = "a factory" if stage.is_select else "one of the other forms"
        rule = f"is missing; write `model: {{{example}}}` or {others}"
        report.add(stage.node, rule, field="model")
        return
    forms = [form for form in MODEL_FORMS if form in model.fields]
    if len(forms) != 1:
        given = f"; got {' and '.join(forms)}" if forms else ""
        report.add(model, f"must have exactly one of {', '.join(MODEL_FORMS)}{given}")
        return
    form = model_form(model.fields)
    if form is None:
        return
    _fields_of_form(stage, report, model, form)
    if form[0] == "family":
        {"plain": _plain, "resnet": _resnet, "mlp": _mlp}[form[1]](model, report)
    if form[0] == "preset" and form[1] not in PRESETS:
        report.add(model.fields["preset"], f"no preset {form[1]!r}", names=PRESETS)
    _weights(stage, report, model, form)
    _untrained(stage, report, model, form)
    if model.get("size") is not None:
        _size(model.fields["size"], report)
    if stage.is_select and form not in (("family", "mlp"),) and form[0] != "factory":
        report.add(
            model.fields[form[0]],
            "a `select` stage reads outputs, not images; use family: mlp or a factory",
            form[1],
        )


def _fields_of_form(stage: Merged, report: Report, model: Node, form: tuple[str, str]) -> None:
    valid = model_fields(form) or ()
    what = f"{form[0]}: {form[1]}" if form[0] == "family" else f"a {form[0]} model"
    for field, node in model.fields.items():
        if field in valid:
            continue
        decided = model.fields[form[0]]
        if node.drawn or decided.drawn:
            report.dropped.append((stage.name, "model", field))
        else:
            report.add(node, f"no field {field!r} in {what}; it belongs to {_owners(field)}")


def _owners(field: str) -> str:
    """The forms that have a field, in words."""
    families = [f"family: {name}" for name, fields in FAMILY_FIELDS.items() if field in fields]
    forms = [name for name, fields in FORM_FIELDS.items() if field in fields]
    return either([*families, *forms])


def _plain(model: Node, report: Report) -> None:
    given = [way for way in ("widths", "base", "size") if way in model.fields]
    if len(given) != 1:
        got = f"; got {' and '.join(given)}" if given else ""
        report.add(model, f"must have exactly one of widths, base or size{got}")
    if "blocks" in model.fields and "widths" in given:
        report.add(model.fields["blocks"], "widths says how many blocks there are; drop one")
    blocks = model.get("blocks")
    if blocks is not None and isinstance(blocks.value, list):
        report.add(blocks, "must be one whole number in family: plain", blocks)
        return
    _convs(model, report)


def _convs(model: Node, report: Report) -> None:
    convs, widths, blocks = model.get("convs"), model.get("widths"), model.get("blocks")
    if convs is None or not isinstance(convs.value, list):
        return
    number = len(widths.items) if widths is not None else blocks.value if blocks else None
    if isinstance(number, int) and number != len(convs.value):
        report.add(convs, f"must be one number, or one for each of the {number} blocks", convs)


def _resnet(model: Node, report: Report) -> None:
    blocks, base = model.get("blocks"), model.get("base")
    if blocks is not None and not isinstance(blocks.value, list):
        report.add(blocks, "must be a list in family: resnet, one number a stage", blocks)
    if "size" in model.fields:
        if base is not None:
            report.add(base, "size says how wide the model is; drop one of them")
        return
    if blocks is None:
        report.add(
            model, "is missing; write the residual blocks of each stage: [3, 3, 3]", field="blocks"
        )


def _mlp(model: Node, report: Report) -> None:
    if "hidden" not in model.fields:
        report.add(model, "is missing; write the widths of the hidden layers, `[]` for none",
                   field="hidden")  # fmt: skip


def _weights(stage: Merged, report: Report, model: Node, form: tuple[str, str]) -> None:
    weights, head, init = model.get("weights"), model.get("head"), stage.get("init")
    has_init = init is not None and init.value != "none"
    if weights is not None and has_init and init is not None and "init" not in stage.broken:
        report.add(init, "cannot stand together with model.weights; drop one of them")
    if head is None:
        return
    if head.value == "new" and weights is None and form[0] in ("family", "preset"):
        StageCheck(stage, report).idle(
            ("model", "head"), "without weights the head is new anyway", [model.fields[form[0]]]
        )
    if isinstance(head.value, list) and form != ("family", "plain"):
        report.add(head, "must be new, here; hidden layers are for family: plain", head)


def _untrained(stage: Merged, report: Report, model: Node, form: tuple[str, str]) -> None:
    """A stage of no epochs is meant for weights from somewhere; a placebo may go without."""
    epochs = stage.get("epochs")
    trained = ("weights" in model.fields, stage.value("init", default="none") != "none")
    alone = stage.block("hint_phase") is None and form[0] != "factory"
    if epochs is not None and epochs.value == 0 and alone and not any(trained):
        report.warn(epochs, "0 epochs without model.weights or init leave the model untrained")


def _size(size: Node, report: Report) -> None:
    at, params, between = size.get("at"), size.get("params"), size.get("between")
    if not isinstance(size.value, dict):
        return
    if (at is None) == (params is None):
        report.add(size, "must have either at (with between) or params", size)
    elif at is not None and between is None:
        report.add(size, "is missing; write `between: [START, END]`, or the number alone",
                   field="between")  # fmt: skip
    if between is not None and params is not None:
        report.add(between, "has no effect: params is absolute; drop the field")
    if between is not None and len({end.value for end in between.items}) == 1:
        report.add(between, "must name two unlike stages", between)
