"""Step time of one distillation job: our loop, a bare torch loop, torchdistill.

Job: ResNet-32 to ResNet-8 (CIFAR form, 100 classes), batch 64 of random 3x32x32 images, loss
0.5 CE + 0.5 T^2 KL (T = 4) + 1.0 MSE between block 3 of the teacher and of the student through a
regressor (Conv3x3, BatchNorm, ReLU). SGD with momentum. One thread.

Every row must give the same losses for 20 steps before its time means anything. Then rounds in
turn, so that a change in the machine's speed meets all of them. Reported: median over all rounds
of CPU time per step, with the quartiles, and the ratio to the bare loop within each round. On a
GPU (`benchmarks/gpu.py`) it is wall-clock, with all work on the device waited for.

    python benchmarks/step_time.py
    pip install torchdistill==1.1.5   # for its row; left out where it is not installed
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from dmtsearch.data import Split, epoch_order, load_data
from dmtsearch.models import build_model, find_path, make_adapter
from dmtsearch.schedule import parse_schedule
from dmtsearch.seeding import derive_seed
from dmtsearch.stage_kinds import resolve
from dmtsearch.training.jobs import make_jobs
from dmtsearch.training.loop import Phase, train_epoch
from dmtsearch.training.objective import TrainObjective
from dmtsearch.training.profile import Profile, computing
from dmtsearch.training.source_outputs import FrozenStage, freeze
from dmtsearch.training.stage_run import StageRun

BARE, ALONE = "bare torch loop", "student alone, bare loop"
CLASSES, BATCH, STEPS, SAME_STEPS = 100, 64, 10, 20
TEMPERATURE, SOFT, HINT, LR, MOMENTUM = 4.0, 0.5, 1.0, 0.01, 0.9

SCHEDULE = f"""\
dmtsearch: 1
data: {{factory: "benchmarks:data", train: {BATCH * STEPS}, val: 128, test: 128, mean: 0, std: 1}}
defaults:
  epochs: 1000
  optimizer: {{name: sgd, lr: {LR}, momentum: {MOMENTUM}, schedule: constant, batch: {BATCH}}}
stages:
  teacher: {{model: {{preset: resnet-32}}}}
  student:
    source: teacher
    model: {{preset: resnet-8}}
    soft: {{temperature: {TEMPERATURE}, weight: {SOFT}}}
    hints: [{{source: block3, at: block3, weight: {HINT}}}]
"""


@dataclass(frozen=True)
class Row:
    """A way to train: `epoch(e)` takes STEPS steps and returns their losses."""

    name: str
    epoch: Callable[[int], list[float]]


def random_data() -> TensorDataset:
    chance = torch.Generator().manual_seed(0)
    n = BATCH * STEPS + 512
    x = torch.randn(n, 3, 32, 32, generator=chance)
    return TensorDataset(x, torch.arange(n) % CLASSES)


class Job:
    """Models, data and order that all rows share.

    Args:
        device: Where they lie.
        amp: Forward passes in bfloat16, in all rows.
    """

    def __init__(self, device: str = "cpu", *, amp: bool = False) -> None:
        self.device = torch.device(device)
        self.schedule = parse_schedule(SCHEDULE, "benchmark")
        self.data = load_data(
            objects=random_data(), train=BATCH * STEPS, val=128, test=128, mean=0.0, std=1.0
        ).to(device)
        self.plan = resolve(self.schedule, self.data.facts, num_train=BATCH * STEPS)
        shape = {"in_shape": (3, 32, 32), "num_classes": CLASSES}
        self.teacher = build_model({"preset": "resnet-32"}, seed=1, **shape)
        with torch.no_grad():  # sane statistics, so that eval mode means something
            for _ in range(5):
                self.teacher.train()(torch.randn(64, 3, 32, 32))
        self.student = build_model({"preset": "resnet-8"}, seed=derive_seed(0, "init"), **shape)
        self.stage_job = make_jobs(self.plan, self.data, device=device)[1]
        self.profile: Profile = replace(self.stage_job.profile, amp=amp)
        self.at = find_path(self.student, "block3")
        self.adapter = make_adapter((64, 8, 8), (64, 8, 8), seed=derive_seed(0, "adapter", 0, 0))
        self.train: Split = self.data.split("train")

    def order(self, epoch: int) -> Tensor:
        return epoch_order(BATCH * STEPS, seed=0, epoch=epoch).to(self.device)

    def copy(self, net: nn.Module) -> nn.Module:
        """A copy for one row, on the device."""
        return self.profile.place(copy.deepcopy(net))


# -- rows -----------------------------------------------------------------------------------


def bare(job: Job, *, taught: bool = True, adapted: bool = True) -> Row:
    """What a careful person would write by hand.

    Args:
        taught: With the teacher's losses; else the student learns from labels alone.
        adapted: With the regressor's arithmetic, which hints need however the source's outputs
            come (its output is pulled to zero where there is no teacher).
    """
    teacher = job.copy(job.teacher).eval().requires_grad_(False)
    student, adapter = job.copy(job.student).train(), job.copy(job.adapter).train()
    autocast = job.profile.autocast
    layout = torch.channels_last if job.profile.channels_last else torch.contiguous_format
    taps: dict[str, Tensor] = {}
    teacher.get_submodule(job.at).register_forward_hook(lambda m, i, o: taps.update(teacher=o))
    student.get_submodule(job.at).register_forward_hook(lambda m, i, o: taps.update(student=o))
    parameters = [*student.parameters(), *(adapter.parameters() if adapted else ())]
    optimizer = torch.optim.SGD(parameters, lr=LR, momentum=MOMENTUM)
    x, y = job.train.x[""], job.train.y

    def step(index: Tensor) -> Tensor:
        images, labels = x[index].contiguous(memory_format=layout), y[index]
        with autocast():
            logits = student(images).float()
        loss = functional.cross_entropy(logits, labels)
        if adapted and not taught:
            with autocast():
                adapted_tap = adapter(taps["student"]).float()
            loss = loss + HINT * adapted_tap.square().mean()
        if taught:
            with torch.no_grad(), autocast():
                soft = teacher(images).float()
            divergence = functional.kl_div(
                functional.log_softmax(logits / TEMPERATURE, 1),
                functional.softmax(soft / TEMPERATURE, 1),
                reduction="batchmean",
            )
            with autocast():
                adapted_tap = adapter(taps["student"])
            hint = functional.mse_loss(adapted_tap.float(), taps["teacher"].float())
            loss = (1 - SOFT) * loss + SOFT * TEMPERATURE**2 * divergence + HINT * hint
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def epoch(number: int) -> list[float]:
        order = job.order(number)
        losses = [step(order[i * BATCH : (i + 1) * BATCH]) for i in range(STEPS)]
        return torch.stack(losses).tolist()

    name = "student and regressor, bare" if adapted else ALONE
    return Row(BARE if taught else name, epoch)


def ours(job: Job, *, kept: bool, hints: bool = True, **changed: bool) -> Row:
    """The loop that `dmtsearch train` runs, on the schedule above.

    `changed`: Other fields of the numeric profile, such as `compile`.
    """
    stage_job, profile = job.stage_job, replace(job.profile, **changed)
    run = StageRun(
        stage_job.resolved,
        seed=0,
        model=copy.deepcopy(job.student),
        view=stage_job.view,
        train=job.train,
        val=job.data.split("val"),
        sources=[
            FrozenStage("teacher", freeze(job.copy(job.teacher)), profile.viewer(stage_job.view))
        ],
        profile=profile,
    )
    outputs = (
        run.bank.for_training(maps=hints) if kept else [run.bank._live(0, logits=True, maps=hints)]
    )
    student = run._taps([job.at] if hints else [], stop=False)
    student.__enter__()
    objective = TrainObjective(
        student,
        run.viewer,
        hard=run.stage.hard,
        targets=run._soft_targets(outputs),
        sources=outputs,
        pairs=run.pairs if hints else (),
        seed=0,
        steps=STEPS,
        autocast=run.profile.autocast,
    )
    phase: Phase = run._phase(
        "train",
        epochs=run.stage.epochs,
        losses=objective,
        terms=objective.terms,
        validate=dict,
        keep_on=None,
        keep_highest=True,
        switch=lambda values: False,
    )
    name = "dmtsearch, outputs kept" if kept else "dmtsearch, outputs live"
    name += "" if hints else ", soft only"
    name += "".join(f", {field}" for field, value in changed.items() if value)
    return Row(name, lambda number: train_epoch(phase, number)[:, 0].tolist())


class WithRegressor(nn.Module):
    """The student with its regressor as a module that torchdistill can hook."""

    def __init__(self, net: nn.Module, regressor: nn.Module, at: str) -> None:
        super().__init__()
        self.net, self.regressor = net, regressor
        self.net.get_submodule(at).register_forward_hook(lambda m, i, o: setattr(self, "tap", o))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        self.regressor(self.tap)
        return logits


def torchdistill(job: Job) -> Row:
    """torchdistill 1.1.5, set up as its own documentation does, but with the teacher in eval mode
    (its samples leave it in train mode)."""
    from torchdistill.core.distillation import get_distillation_box

    teacher = copy.deepcopy(job.teacher).eval()
    student = WithRegressor(copy.deepcopy(job.student), copy.deepcopy(job.adapter), job.at)
    loader = {
        "dataset_id": "d",
        "sampler": {"class_or_func": torch.utils.data.SequentialSampler, "kwargs": {}},
        "kwargs": {"batch_size": BATCH, "num_workers": 0},
    }
    kd = {
        "key": "KDLoss",
        "kwargs": {
            "student_module_path": ".",
            "student_module_io": "output",
            "teacher_module_path": ".",
            "teacher_module_io": "output",
            "temperature": TEMPERATURE,
            "alpha": 1 - SOFT,
            "beta": SOFT,
            "reduction": "batchmean",
        },
    }
    hint = {
        "key": "MSELoss",
        "kwargs": {},
    }
    wrapper = {
        "key": "SimpleLossWrapper",
        "kwargs": {
            "input": {"is_from_teacher": False, "module_path": "regressor", "io": "output"},
            "target": {"is_from_teacher": True, "module_path": job.at, "io": "output"},
        },
    }
    terms = {
        "kd": {"weight": 1.0, "criterion": kd},
        "hint": {"weight": HINT, "criterion": hint, "criterion_wrapper": wrapper},
    }
    config = {
        "num_epochs": 1,
        "train_data_loader": dict(loader),
        "val_data_loader": copy.deepcopy(loader),
        "teacher": {
            "forward_proc": "forward_batch_only",
            "sequential": [],
            "forward_hook": {"input": [], "output": [job.at]},
            "requires_grad": False,
        },
        "student": {
            "forward_proc": "forward_batch_only",
            "sequential": [],
            "forward_hook": {"input": [], "output": ["regressor"]},
            "requires_grad": True,
            "adaptations": {},
            "frozen_modules": [],
        },
        "optimizer": {"key": "SGD", "kwargs": {"lr": LR, "momentum": MOMENTUM}},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": terms}},
    }
    data = TensorDataset(job.train.x[""], job.train.y)
    box = get_distillation_box(
        teacher, student, {"d": data}, config, torch.device("cpu"), [], False, 1
    )
    box.pre_epoch_process(epoch=0)

    def epoch(number: int) -> list[float]:
        batches = DataLoader(data, batch_size=BATCH, sampler=job.order(number).tolist())
        losses = []
        for x, y in batches:
            loss = box.forward_process(x, y, None)
            box.post_forward_process(loss=loss)
            losses.append(loss.item())
        return losses

    return Row("torchdistill 1.1.5", epoch)


# -- measuring ------------------------------------------------------------------------------


def check_equal(rows: list[Row], *, within: float = 1e-3) -> None:
    """Refuse to time rows whose losses differ in the first 20 steps."""
    reference = rows[0]
    expected = [loss for e in range(SAME_STEPS // STEPS) for loss in reference.epoch(e)]
    print(f"{reference.name}: first losses " + " ".join(f"{loss:.5f}" for loss in expected[:3]))
    for row in rows[1:]:
        found = [loss for e in range(SAME_STEPS // STEPS) for loss in row.epoch(e)]
        worst = max(abs(a - b) / abs(b) for a, b in zip(found, expected, strict=True))
        print(f"{row.name}: {SAME_STEPS} losses equal within {worst:.1e} of {reference.name}")
        if worst > within:
            raise SystemExit(f"{row.name} does not do the same job: {found[:3]}")


def measure(
    rows: list[Row], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, list[float]]:
    """Milliseconds per step by `clock`, a value a round; rows take turns in each round."""
    times: dict[str, list[float]] = {row.name: [] for row in rows}
    for number in range(rounds):
        for row in rows if number % 2 == 0 else reversed(rows):
            start = clock()
            row.epoch(SAME_STEPS // STEPS + number)
            times[row.name].append((clock() - start) * 1e3 / STEPS)
    return times


def spread(values: list[float]) -> tuple[float, float, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return low, middle, high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    job = Job()
    with computing(job.profile):
        rows = [bare(job), ours(job, kept=False), ours(job, kept=True)]
        try:
            rows.append(torchdistill(job))
        except ImportError as error:
            print(f"torchdistill is left out: {error}")
        check_equal(rows)
        rows += [
            ours(job, kept=True, hints=False),
            bare(job, taught=False),
            bare(job, taught=False, adapted=False),
        ]
        times = measure(rows, rounds)
    base, alone = times[BARE], times[ALONE]
    print(
        f"\n{Path(__file__).name}, torch {torch.__version__}, n = {rounds} rounds of {STEPS} steps"
    )
    columns = ("ms/step", "quartiles", "/ bare loop", "/ alone")
    print(f"{'':34s} " + " ".join(f"{column:>13s}" for column in columns))
    for name, values in times.items():
        low, middle, high = spread(values)
        to_bare = statistics.median(a / b for a, b in zip(values, base, strict=True))
        to_alone = statistics.median(a / b for a, b in zip(values, alone, strict=True))
        quartiles = f"{low:.1f} - {high:.1f}"
        print(f"{name:34s} {middle:13.1f} {quartiles:>13s} {to_bare:13.3f} {to_alone:13.3f}")


if __name__ == "__main__":
    main()
