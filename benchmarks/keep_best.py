"""How much too good val is with `keep: best`, where val both chooses the epoch and scores it.

    python benchmarks/keep_best.py --data digits --train 600 --seeds 8 --epochs 10,40,160

One training is looked at by many draws of val: after each epoch the net answers all samples that
it was not trained on; a draw takes `n` of them for val, keeps its best epoch (of equals the
latest, as `keep: best` does), and scores that epoch on val and on the samples that are left. The
mean of the difference is the optimism, since the two halves differ by chance alone. Beside it is
what keeping the best epoch gains over the last one on samples that did not choose.
"""

import argparse

import numpy as np
import torch
from torch.nn import functional

from dmtsearch.data import load_data
from dmtsearch.models import build_model

DRAWS = 400
NETS = {
    "digits": {"family": "plain", "widths": [4, 8, 16], "convs": 2},
    "fashion_mnist": {"family": "plain", "widths": [4, 8, 16, 32], "convs": 4, "head": [64]},
}


def right_by_epoch(data: str, train: int, epochs: int, seed: int, schedule: str) -> np.ndarray:
    """Whether the net is right on each sample that it has not seen, [epochs, samples]."""
    pool = 898 if data == "digits" else 4000
    opened = load_data(name=data, train=train, val=pool, split_seed=seed)
    fit, rest = opened.split("train"), opened.split("val")
    mean, std = (torch.tensor(moment) for moment in (0.2, 0.3))
    x, unseen = ((split.x[""].float() / 255 - mean) / std for split in (fit, rest))
    net = build_model(NETS[data], in_shape=tuple(x.shape[1:]), num_classes=10, seed=seed)
    steps = len(x) // 64
    optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.003, total_steps=steps * epochs)
    order = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(epochs):
        net.train()
        for at in torch.randperm(len(x), generator=order)[: steps * 64].split(64):
            optimizer.zero_grad()
            functional.cross_entropy(net(x[at]), fit.y[at]).backward()
            optimizer.step()
            if schedule == "one_cycle":
                rates.step()
        net.eval()
        with torch.no_grad():
            logits = torch.cat([net(part) for part in unseen.split(2000)])
        found.append((logits.argmax(dim=1) == rest.y).numpy())
    return np.stack(found)


def optimism(right: np.ndarray, n: int, chance: np.random.Generator) -> tuple[float, float]:
    """Mean of val less unseen at the kept epoch, and of unseen at the kept less the last epoch."""
    too_good, gained = [], []
    for _ in range(DRAWS):
        order = chance.permutation(right.shape[1])
        val, unseen = (right[:, part].mean(axis=1) for part in (order[:n], order[n:]))
        kept = len(val) - 1 - int(np.argmax(val[::-1]))
        too_good.append(val[kept] - unseen[kept])
        gained.append(unseen[kept] - unseen[-1])
    return float(np.mean(too_good)), float(np.mean(gained))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits", choices=list(NETS))
    parser.add_argument("--train", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--epochs", default="10,40,160")
    parser.add_argument("--schedules", default="one_cycle,constant")
    parser.add_argument("--n", default="125,250,500")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("schedule   epochs     n   too good by   gained over the last epoch   (points)")
    for schedule in given.schedules.split(","):
        for epochs in (int(text) for text in given.epochs.split(",")):
            runs = [
                right_by_epoch(given.data, given.train, epochs, seed, schedule)
                for seed in range(given.seeds)
            ]
            for n in (int(text) for text in given.n.split(",")):
                chance = np.random.default_rng(0)
                each = np.array([optimism(right, n, chance) for right in runs]) * 100
                error = each[:, 0].std(ddof=1) / len(each) ** 0.5
                print(
                    f"{schedule:10} {epochs:6} {n:5}   {each[:, 0].mean():.2f} +- {error:.2f}"
                    f"   {each[:, 1].mean():.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
