"""Every mistake in a model and the one sentence that it gets. The student stands on line 5."""

import pytest
from schedule_texts import HEAD, TEACHER, problems_of

IN_MODEL = [
    ("{}", ": must have exactly one of family, preset, torchvision, timm, factory"),
    ("{preset: cnn8, timm: x}", ": must have exactly one of family, preset, torchvision, timm, "
     "factory; got preset and timm"),
    ("{preset: cnn9}", ".preset: no preset 'cnn9'; did you mean 'cnn8'?"),
    ("{preset: resnet-10}", ".preset: no preset 'resnet-10'; did you mean 'resnet-110'?"),
    ("{family: plane, widths: [1]}", ".family: must be plain, resnet or mlp, got 'plane'; did "
     "you mean 'plain'?"),
    ("{family: plain}", ": must have exactly one of widths, base or size"),
    ("{family: plain, widths: [8], size: 0.5}", ": must have exactly one of widths, base or "
     "size; got widths and size"),
    ("{family: plain, widths: []}", ".widths: must hold at least one number"),
    ("{family: plain, widths: [8, 0]}", ".widths: must be a list of whole numbers >= 1"),
    ("{family: plain, widths: 8}", ".widths: must be a list of whole numbers >= 1, got 8"),
    ("{family: plain, widths: [8], blocks: 1}", ".blocks: widths says how many blocks there are; "
     "drop one"),
    ("{family: plain, base: 8, blocks: [3, 3]}", ".blocks: must be one whole number in family: "
     "plain, got [3, 3]"),
    ("{family: plain, widths: [8, 16], convs: [1, 2, 3]}", ".convs: must be one number, or one "
     "for each of the 2 blocks, got [1, 2, 3]"),
    ("{family: plain, widths: [8], convs: 0}", ".convs: must be a whole number >= 1 or a list of "
     "whole numbers >= 1, got 0"),
    ("{family: plain, widths: [8], pool: [2]}", ".pool: must hold at least 2 values, got [2]"),
    ("{family: plain, widths: [8], dropout: 1}", ".dropout: must be < 1, got 1"),
    ("{family: plain, widths: [8], head: old}", ".head: must be new or a list of whole numbers "
     ">= 1, got 'old'"),
    ("{family: plain, widths: [8], head: new}", ".head: has no effect: without weights the head "
     "is new anyway; drop the field"),
    ("{family: mlp, hidden: [8], width: 3}", ".width: no field 'width' here; known: family, "
     "hidden, dropout, norm, weights, head, input"),
    ("{family: mlp, hidden: [8], convs: 3}", ".convs: no field 'convs' in family: mlp; it "
     "belongs to family: plain"),
    ("{family: mlp}", ".hidden: is missing; write the widths of the hidden layers, `[]` for none"),
    ("{family: mlp, hidden: [8], head: [3], weights: f.safetensors}", ".head: must be new, here; "
     "hidden layers are for family: plain, got [3]"),
    ("{family: resnet}", ".blocks: is missing; write the residual blocks of each stage: "
     "[3, 3, 3]"),
    ("{family: resnet, blocks: 3}", ".blocks: must be a list in family: resnet, one number a "
     "stage, got 3"),
    ("{family: resnet, size: {params: 9}, base: 8}", ".base: size says how wide the model is; "
     "drop one of them"),
    ("{preset: cnn8, widths: [8]}", ".widths: no field 'widths' in a preset model; it "
     "belongs to family: plain"),
    ("{torchvision: resnet18, version: 2}", ".version: no field 'version' in a torchvision "
     "model; it belongs to factory"),
    ("{factory: nope}", ".factory: must be 'package.module:function', got 'nope'"),
    ("{factory: 'a.b:c', args: [1]}", ".args: must be fields (name: value)"),
    ("{preset: cnn8, input: {mean: x}}", ".input.mean: must be a number, a list of numbers (one "
     "per channel) or imagenet, got 'x'"),
    ("{preset: cnn8, input: {std: [1, 0]}}", ".input.std: must be above 0"),
    ("{preset: cnn8, input: {size: 0}}", ".input.size: must be >= 1, got 0"),
    ("{family: plain, size: 1.5}", ".size: must be <= 1, got 1.5"),
    ("{family: plain, size: half}", ".size: must be a number in [0, 1], {at, between} or "
     "{params}, got 'half'"),
    ("{family: plain, size: {at: 0.5}}", ".size.between: is missing; write `between: [START, "
     "END]`, or the number alone"),
    ("{family: plain, size: {}}", ".size: must have either at (with between) or params, got {}"),
    ("{family: plain, size: {params: 9, between: [teacher, teacher]}}", ".size.between: has no "
     "effect: params is absolute; drop the field"),
    ("{family: plain, size: {at: 0.5, between: [teacher, techer]}}", ".size.between[1]: no stage "
     "called 'techer'; did you mean 'teacher'?"),
    ("{family: plain, size: {at: 0.5, between: [teacher, student]}}", ".size.between[1]: a stage "
     "cannot be its own measure, got 'student'"),
    ("{family: plain, size: 0.5}", ".size: the stage is itself its chain's end, so a size "
     "between start and end says nothing; write widths"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "problem"), IN_MODEL, ids=[case[0] for case in IN_MODEL])
def test_a_mistake_in_a_model_gets_one_sentence(model, problem):
    text = f"{HEAD}stages:\n{TEACHER}  student: {{source: teacher, model: {model}}}\n"
    found = [p for p in problems_of(text) if "two unlike" not in p]
    assert found == [f"stages.student.model{problem}  (x.yaml:5)"]
