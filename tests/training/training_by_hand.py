"""A second implementation of a stage, bare: plain torch, nothing of ours but the data's tensors.

It follows docs/schedule.md (the loss; keys and chance), and is compared with what the stage
gives.
"""

import copy
import hashlib
import math

import torch
from torch import nn
from torch.nn import functional
from training_pieces import BIG, SMALL, schedule

from dmtsearch.models import build_model


def own_seed(use, epoch=0, index=0, seed=0):
    text = f"{seed}/{use}/{epoch}/{index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") // 2


def generator(use, epoch=0, index=0, seed=0):
    return torch.Generator().manual_seed(own_seed(use, epoch, index, seed))


class Images:
    """A split as float images of mean 0 and deviation 1, by the moments of `train`."""

    def __init__(self, split, train):
        pixels = train.x[""].double() / 255
        self.mean, self.std = pixels.mean(), pixels.var(correction=0).sqrt()
        self.stored, self.y, self.index = split.x[""], split.y, split.index
        self.x = self.scaled(self.stored)

    def scaled(self, stored):
        return ((stored.double() / 255 - self.mean) / self.std).float()


def batches(n, size, clock, seed=0):
    order = torch.randperm(n, generator=generator("order", clock, seed=seed))
    return [order[start : start + size] for start in range(0, n - size + 1, size)]


def rate(schedule, step, steps, lr):
    """The rate before each step (from 0) of `steps`, from the formulas."""
    if schedule == "one_cycle":
        top, end = 0.3 * steps - 1, steps - 1
        first, last = lr / 25, lr / 250_000
        if step <= top:
            return first + (lr - first) * (1 - math.cos(math.pi * step / top)) / 2
        return last + (lr - last) * (1 + math.cos(math.pi * (step - top) / (end - top))) / 2
    if schedule == "cosine":
        return lr * (1 + math.cos(math.pi * step / steps)) / 2
    if schedule == "step":  # by a tenth at half and at three quarters
        return lr * 0.1 ** sum(step >= round(steps * share) for share in (0.5, 0.75))
    return lr


def adam(modules, lr=0.003):
    return torch.optim.Adam([p for module in modules for p in module.parameters()], lr=lr)


def fit(
    modules,
    images,
    loss,
    *,
    optimizer=None,
    schedule="one_cycle",
    lr=0.003,
    epochs=2,
    size=32,
    clock=lambda epoch: epoch,
    after=lambda: None,
):
    """Descend on `loss(positions, epoch, step)`, a scalar."""
    optimizer = optimizer or adam(modules)
    for module in modules:
        module.train()
    n, done = len(images.y), 0
    steps = epochs * (n // size)
    for epoch in range(epochs):
        torch.manual_seed(own_seed("dropout", clock(epoch)))
        for step, at in enumerate(batches(n, size, clock(epoch))):
            for group in optimizer.param_groups:
                group["lr"] = rate(schedule, done, steps, lr)
            optimizer.zero_grad()
            loss(at, epoch, step).backward()
            optimizer.step()
            done += 1
        after()


def cross_entropy(z, y, smoothing=0.0):
    log_q = z - z.logsumexp(dim=1, keepdim=True)
    right = -log_q[torch.arange(len(y)), y]
    return (1 - smoothing) * right + smoothing * -log_q.mean(dim=1)


def kl(z, z_source, T):
    p, q = torch.softmax(z_source / T, dim=1), torch.softmax(z / T, dim=1)
    return T**2 * (p * (p.log() - q.log())).sum(dim=1)


def standardised(z):
    centred = z - z.mean(dim=1, keepdim=True)
    return centred / (centred**2).mean(dim=1, keepdim=True).sqrt()


def outputs(source, x):
    """A source's logits, in eval mode and without gradient."""
    source.eval()
    with torch.no_grad():
        return source(x)


def adapter(channels, source_channels, number=0, *, norm=True, relu=True, kernel=3):
    with torch.random.fork_rng():
        torch.manual_seed(own_seed("adapter", 0, number))
        layers = [nn.Conv2d(channels, source_channels, kernel, padding=kernel // 2)]
    layers += [nn.BatchNorm2d(source_channels)] if norm else []
    layers += [nn.ReLU()] if relu else []
    return nn.Sequential(*layers)


def best_of(modules, score):
    """Called after each epoch: remembers the modules where `score()` was lowest, the latest."""
    kept = {"score": math.inf, "states": None}

    def after():
        for module in modules:
            module.eval()
        with torch.no_grad():
            found = float(score())
        for module in modules:
            module.train()
        if found <= kept["score"]:
            kept["score"] = found
            kept["states"] = [copy.deepcopy(module.state_dict()) for module in modules]

    def put_back():
        for module, state in zip(modules, kept["states"], strict=True):
            module.load_state_dict(state)

    return after, put_back


def drop_stays(drop, sources, epoch, step):
    """Which sources a batch learns from (DGKD); one always stays."""
    chance = generator("drop", epoch, step)
    stays = torch.rand(sources, generator=chance) >= drop
    last = int(torch.randint(sources, (), generator=chance))
    if not stays.any():
        stays[last] = True
    return stays.tolist()


def mean_square(a, b):
    return functional.mse_loss(a, b)


def build(spec):
    """The stage's model as it starts."""
    seed = own_seed("init")
    return build_model(spec, in_shape=(1, 8, 8), num_classes=10, seed=seed)


class Arm:
    """One student trained twice: by `get_or_train` (its result), and by hand (its model)."""

    def __init__(self, bench, student, *, sources=1, model=SMALL, epochs=1):
        stages = {
            f"teacher{number}": {"model": BIG, "epochs": epochs + number}
            for number in range(sources)
        }
        stages["student"] = {"model": model, **student}
        if sources:
            stages["student"]["source"] = list(stages)[:-1]
        self.job = bench.jobs(schedule(stages))["student"]
        self.results = bench.run(schedule(stages))
        train, val = bench.data.split("train"), bench.data.split("val")
        self.train, self.val = Images(train, train), Images(val, train)
        self.model = build(model)
        self.bench = bench
        self.teachers = [self._teacher(name) for name in list(stages)[:-1]]

    def _teacher(self, name):
        model = build(BIG)
        model.load_state_dict(self.bench.weights(self.results[name]))
        return model.eval()

    def logits(self, at, teacher=0):
        return outputs(self.teachers[teacher], self.train.x[at])

    def check(self):
        """Both students have the same weights."""
        torch.testing.assert_close(
            dict(self.model.state_dict()),
            self.bench.weights(self.results["student"]),
            rtol=1e-4,
            atol=1e-6,
        )
