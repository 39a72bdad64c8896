"""Optimizers and rate schedules, from the plain numbers of a schedule's `optimizer` block.

A rate schedule moves once a step and moves the rate alone: torch's one-cycle rule would also
cycle the momentum, over the head of a `momentum` or `betas` that the user wrote.
"""

from collections.abc import Iterable

from torch import nn, optim
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
)

from dmtsearch.schedule import Adam, AdamW, Optimizer, Sgd


def build_optimizer(
    spec: Optimizer, parameters: Iterable[nn.Parameter], *, fused: bool = False
) -> optim.Optimizer:
    """Return a new optimizer over `parameters`, with no state of any earlier phase.

    `fused`: One kernel moves all weights, in place of one for each; it rounds differently.
    """
    params = list(parameters)
    more = {"fused": True} if fused else {}
    if isinstance(spec, Sgd):
        return optim.SGD(
            params,
            lr=spec.lr,
            momentum=spec.momentum,
            nesterov=spec.nesterov,
            weight_decay=spec.weight_decay,
            **more,
        )
    assert isinstance(spec, Adam), "every optimizer of the schedule is one of these"
    kind: type[optim.Adam] = optim.AdamW if isinstance(spec, AdamW) else optim.Adam
    return kind(
        params,
        lr=spec.lr,
        betas=spec.betas,
        eps=spec.eps,
        weight_decay=spec.weight_decay,
        **more,
    )


def build_scheduler(spec: Optimizer, optimizer: optim.Optimizer, *, steps: int) -> LRScheduler:
    """Return the rate schedule of a phase of `steps` optimizer steps in all.

    `one_cycle` rises for 30 % of the steps from lr/25 to lr and falls to lr/250,000 (Smith and
    Topin, arXiv 1708.07120, with torch's defaults); `cosine` falls to 0; `step` multiplies the
    rate by `gamma` at each of `milestones`, as fractions of the phase.
    """
    if spec.schedule == "one_cycle":
        return OneCycleLR(optimizer, max_lr=spec.lr, total_steps=steps, cycle_momentum=False)
    if spec.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    if spec.schedule == "step":
        milestones = [round(steps * fraction) for fraction in spec.milestones or ()]
        return MultiStepLR(optimizer, milestones=milestones, gamma=spec.gamma or 0.1)
    return LambdaLR(optimizer, lambda step: 1.0)
