"""Whole searches as they leave a run folder: a space, controls, trials that ended in every way."""

import math
import random
from pathlib import Path
from typing import Any

from made_run import MadeRun

from dmtsearch.engine import ArmMissing, Redrawn, TrialProposed
from dmtsearch.schedule import Schedule, parse_schedule
from dmtsearch.space import parse_space

SPACE = """\
# Question: does a gradual change of size help, and where should the hints sit?
#
# Scientific: number and size of the models in between, hint points at both hops, merit.
# Nuisance:   learning rate 3e-3 (one-cycle), one value for all stages.
# Fixed:      Fashion-MNIST, 6,000 training images, 10,000 for validation, temperature 4,
#             widths a quarter of CNN8, CNN12 and CNN16.
# Budget:     40 trials.
dmtsearch: 1
name: how-to-pass-through
data: {name: fashion_mnist, train: 6000, val: 10000}
search:
  question: Does a gradual change of size help, and where should the hints sit?
  objectives: {val_accuracy: max}
  sampler: tpe
  trials: 40
defaults:
  epochs: 10
  keep: best
  optimizer: {name: adam, lr: 0.003, schedule: one_cycle, batch: 128}
stages:
  teacher:
    model: {family: plain, widths: [16, 32, 64, 128], convs: 2, head: [64]}
  assistant:
    repeat: {int: [0, 2]}
    order: {model.size: decreasing}
    source: teacher
    model: {family: plain, convs: {int: [2, 4]}, size: {float: [0.2, 0.8, 0.2]}}
    hints:
      choice:
        none: []
        middle: [{source: block2, at: block2}]
        any: [{source: {choice: [block1, block2, block3]}, at: {choice: [block1, block2, block3]}}]
    hint_phase: {epochs: 5}
    merit: {choice: {none: none, delta: {rule: delta, increment: {float: [0.05, 0.3]}}}}
  student:
    source: assistant
    model: {family: plain, widths: [4, 8, 16, 32], convs: 4, head: [64]}
    hints: {choice: {none: [], middle: [{source: block2, at: block2}]}}
    hint_phase: {epochs: 5}
    soft: {temperature: {log: [1, 20]}, weight: 0.5}
"""

ONE_HOLE = """\
dmtsearch: 1
name: one-hole
data: {name: digits, val: 0.25}
search: {trials: 12}
stages:
  teacher: {model: {family: plain, widths: [32, 64], convs: 2}}
  student:
    source: teacher
    model: {family: plain, widths: [4, 8], convs: 2}
    soft: {weight: {choice: [0.3, 0.6, 0.9]}}
"""

_ARMS = {"scratch": (0, 1, 2), "direct": (0, 1, 2), "scratch_long": (0,), "direct_long": (0,),
         "fitnet": (0,), "assistant": (0,)}  # fmt: skip
_LEVEL = {"scratch": 0.857, "direct": 0.8615, "scratch_long": 0.858, "direct_long": 0.866,
          "fitnet": 0.871, "assistant": 0.859}  # fmt: skip


def draw_accuracy(rng: random.Random, values: dict[str, Any]) -> float:
    """A made-up response: hints at both hops help, a middle model without hints does not."""
    level = 0.861 + 0.006 * (values.get("student.hints") == "middle")
    hints = values.get("assistant.1.hints", values.get("assistant.hints"))
    if values.get("assistant.repeat", 0):
        level += 0.004 if hints in ("middle", "any") else -0.001
    temperature = float(values.get("student.soft.temperature", 4.0))
    level -= 0.002 * (math.log(temperature) - math.log(5)) ** 2
    return level + rng.gauss(0, 0.0022)


def made_search(
    root: Path,
    *,
    text: str = SPACE,
    trials: int = 40,
    objectives: dict[str, str] | None = None,
    controls: bool = True,
) -> MadeRun:
    """A finished search in `root`, its controls first, every 11th trial failed, every 7th pruned.

    The caller writes the last line with `stop()`.
    """
    space = parse_space(text, "space.yaml")
    run = MadeRun(root, space, objectives or {"val_accuracy": "max"})
    run.start(text, trials=trials)
    if controls:
        add_controls(run)
    for number in range(trials):
        values = dict(space.sample(seed=number))
        schedule = space.fill(values)
        trial = run.propose("search", schedule, values)
        if number % 11 == 10:
            epoch = 1 + number % 4
            reason = (
                f"stage 'student' diverged: its soft loss was nan in epoch {epoch} of the "
                "train phase, step 12; lower optimizer.lr, or the weight of the soft term"
            )
            for stage in trial.stages[:-1]:
                if stage.key not in run.done:
                    run.stage(stage, trial.trial, 0.88)
            run.end(trial, "failed", stage="student", reason=reason, epochs=number % 4)
        elif number % 7 == 6 and len(run.objectives) == 1:
            for stage in trial.stages[:-1]:
                if stage.key not in run.done:
                    run.stage(stage, trial.trial, 0.88)
            reason = "pruned at epoch 3 of 10: val accuracy under the median"
            run.end(trial, "pruned", stage="student", reason=reason, epochs=3)
        else:
            run.finish(trial, draw_accuracy(run.rng, values))
        if number % 9 == 4:
            run.write(Redrawn("duplicate", values, f"trial {trial.trial}"))
    return run


def add_controls(run: MadeRun) -> None:
    """The control arms of a made-up table, and one that the space cannot have."""
    for arm, seeds in _ARMS.items():
        for seed in seeds:
            control(run, arm, seed, _LEVEL[arm] + run.rng.gauss(0, 0.0018))
    run.write(ArmMissing("hint_reversed", "the anchor has no hints"))


def arm_schedule(arm: str) -> Schedule:
    """A schedule that stands for a control arm: fewer stages, or more epochs."""
    data = "data: {name: fashion_mnist, train: 6000, val: 10000}"
    epochs = 30 if arm.endswith("_long") else 10
    teacher = "  teacher: {epochs: 10, model: {family: plain, widths: [16, 32, 64, 128]}}\n"
    middle = "  middle: {source: teacher, model: {family: plain, size: 0.5}}\n"
    student = "model: {family: plain, widths: [4, 8, 16, 32], convs: 4}"
    hints = ", hints: [{source: block2, at: block2}], hint_phase: {epochs: 5}"
    parts = {
        "scratch": f"  student: {{epochs: {epochs}, {student}}}\n",
        "direct": f"{teacher}  student: {{source: teacher, epochs: {epochs}, {student}}}\n",
        "fitnet": f"{teacher}  student: {{source: teacher, epochs: 10, {student}{hints}}}\n",
        "assistant": f"{teacher}{middle}  student: {{source: middle, epochs: 10, {student}}}\n",
    }
    body = parts[arm.removesuffix("_long")]
    return parse_schedule(f"dmtsearch: 1\nname: {arm}\n{data}\nstages:\n{body}", f"{arm}.yaml")


def try_weight(run: MadeRun, weight: float, accuracy: float) -> TrialProposed:
    """A finished trial of the space with one hole."""
    values = {"student.soft.weight": weight}
    trial = run.propose("search", run.space.fill(values), values)
    run.finish(trial, accuracy)
    return trial


def control(run: MadeRun, arm: str, seed: int, accuracy: float) -> TrialProposed:
    """A finished run of a control arm."""
    trial = run.propose(arm, arm_schedule(arm), {}, seed)
    run.finish(trial, accuracy)
    return trial
