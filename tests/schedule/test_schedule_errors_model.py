"""Every mistake in a model and the one sentence that it gets. The student stands on line 5."""

import pytest
from schedule_texts import HEAD, TEACHER, problems_of

IN_MODEL = [
    "{}",
    "{preset: cnn8, timm: x}",
    "{preset: cnn9}",
    "{preset: resnet-10}",
    "{family: plane, widths: [1]}",
    "{family: plain}",
    "{family: plain, widths: [8], size: 0.5}",
    "{family: plain, widths: []}",
    "{family: plain, widths: [8, 0]}",
    "{family: plain, widths: 8}",
    "{family: plain, widths: [8], blocks: 1}",
    "{family: plain, base: 8, blocks: [3, 3]}",
    "{family: plain, widths: [8, 16], convs: [1, 2, 3]}",
    "{family: plain, widths: [8], convs: 0}",
    "{family: plain, widths: [8], pool: [2]}",
    "{family: plain, widths: [8], dropout: 1}",
    "{family: plain, widths: [8], head: old}",
    "{family: plain, widths: [8], head: new}",
    "{family: mlp, hidden: [8], width: 3}",
    "{family: mlp, hidden: [8], convs: 3}",
    "{family: mlp}",
    "{family: mlp, hidden: [8], head: [3], weights: f.safetensors}",
    "{family: resnet}",
    "{family: resnet, blocks: 3}",
    "{family: resnet, size: {params: 9}, base: 8}",
    "{preset: cnn8, widths: [8]}",
    "{torchvision: resnet18, version: 2}",
    "{factory: nope}",
    "{factory: 'a.b:c', args: [1]}",
    "{preset: cnn8, input: {mean: x}}",
    "{preset: cnn8, input: {std: [1, 0]}}",
    "{preset: cnn8, input: {size: 0}}",
    "{family: plain, size: 1.5}",
    "{family: plain, size: half}",
    "{family: plain, size: {at: 0.5}}",
    "{family: plain, size: {}}",
    "{family: plain, size: {params: 9, between: [teacher, teacher]}}",
    "{family: plain, size: {at: 0.5, between: [teacher, techer]}}",
    "{family: plain, size: {at: 0.5, between: [teacher, student]}}",
    "{family: plain, size: 0.5}",
]


@pytest.mark.parametrize("model", IN_MODEL)
def test_a_mistake_in_a_model_gets_one_sentence(model, golden):
    text = f"{HEAD}stages:\n{TEACHER}  student: {{source: teacher, model: {model}}}\n"
    golden(model, problems_of(text))
