"""Schedules whose bundles are exported, and the exported files as their users run them."""

import torch

DIGITS = """\
dmtsearch: 1
name: one
data: {name: digits, train: 256, val: 128}
stages:
  only: {epochs: 1, optimizer: {batch: 64}, model: MODEL}
"""
PLAIN = "{family: plain, widths: [4, 8], convs: 1, dropout: 0.5}"
SENSORS = """\
dmtsearch: 1
name: two-sensors
data: {factory: "two_sensors:sensors"}
defaults: {epochs: 2, optimizer: {name: adam, lr: 0.02, batch: 32}}
stages:
  a: {modality: a, model: {family: mlp, hidden: [8], norm: true}}
  b: {modality: b, model: {family: mlp, hidden: [8]}}
  selector:
    select: [a, b]
    degrade: [{kind: noise, severity: [0.3, 1]}]
    model: {family: mlp, hidden: [8]}
    FORM
"""


def run_file(file, samples):
    """Answers of a file as its user gets them, without any code of ours."""
    if file.suffix == ".pt2":
        found = torch.export.load(file).module()(samples)
        return dict(found) if isinstance(samples, dict) else {"probabilities": found}
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    given = samples if isinstance(samples, dict) else {"samples": samples}
    found = session.run(None, {name: x.numpy() for name, x in given.items()})
    names = [one.name for one in session.get_outputs()]
    return {name: torch.from_numpy(x) for name, x in zip(names, found, strict=True)}


def images(n, *shape, seed=3):
    chance = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, *shape), generator=chance).to(torch.uint8)
