"""A user's data must be the same when it is read or built again."""

import random
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from dmtsearch.data import load_data
from dmtsearch.errors import DataError

MODULE = """
    import functools, itertools, os, random
    import numpy as np
    import torch
    from torch.utils.data import Dataset, Subset, TensorDataset, random_split

    COUNT = itertools.count(len(os.listdir()))  # a file more at each time
    open(f"{len(os.listdir())}.log", "w").close()

    def whole(n=90, extra=0.0):
        x = torch.arange(n, dtype=torch.float32)[:, None].repeat(1, 3) + extra
        return TensorDataset(x, torch.arange(n) % 3)

    def three(order, **more):
        cuts = {"train": order[:60], "val": order[60:75], "test": order[75:]}
        return {name: Subset(whole(**more), [int(i) for i in part]) for name, part in cuts.items()}

    class Each(Dataset):
        def __init__(self, change): self.change, self.data = change, whole()
        def __len__(self): return 90
        def __getitem__(self, i): return self.change(*self.data[i])

    # The split is drawn again.
    def by_torch(): return dict(zip(("train", "val"), random_split(whole(), [60, 30])))
    def by_numpy(): return three(np.random.permutation(90))
    def by_random(): return three(random.sample(range(90), 90))
    def one_sample(): return three([*range(80), *random.sample(range(80, 90), 10)])

    AT_IMPORT = torch.randperm(90)
    def by_import(): return three(AT_IMPORT)
    @functools.cache
    def cached(): return three(torch.randperm(90))

    # Samples are drawn again at each read.
    def noise(): return Each(lambda x, y: (x + torch.rand(3), y))
    def flip(): return Each(lambda x, y: (-x if random.random() < .5 else x, y))
    def scale(): return Each(lambda x, y: (x * np.random.rand(), y))
    def relabel(): return Each(lambda x, y: (x, random.randrange(3)))
    def counted(): return Each(lambda x, y: (x + next(COUNT), y))

    # Samples or labels are drawn again at each build.
    def kept_noise(): return whole(extra=torch.rand(()))
    def kept_labels():
        labels = [random.randrange(3) for _ in range(90)]
        return Each(lambda x, y: (x, labels[int(x[0])]))
    def fewer(): return whole(60 + next(COUNT))
    def no_test(): return dict(list(three(range(90)).items())[:2 + next(COUNT) % 2])
    def classes():
        found = Each(lambda x, y: (x, int(y)))
        found.classes = random.sample("abcdefghij", 3)
        return found

    # Pure functions of their arguments.
    def seeded(seed=0):
        drawn = torch.Generator().manual_seed(seed)
        return dict(zip(("train", "val"), random_split(whole(), [60, 30], generator=drawn)))
    def seeds_all():
        torch.manual_seed(0), random.seed(0), np.random.seed(0)
        return three(np.random.permutation(90), extra=torch.rand(()))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of a new name in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"drawn_data_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(MODULE))
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        *(
            (name, r"sample \d+ of train in the second is sample \d+ of \w+ in .*seed your split")
            for name in ("by_torch", "by_numpy", "by_random", "by_import", "cached")
        ),
        ("one_sample", r"sample \d+ of test in the second is sample .*seed your split \(gen"),
        *(
            (name, r"sample \d+ of train has another x when it is read again; random transforms b")
            for name in ("noise", "flip", "scale", "counted")
        ),
        ("relabel", r"has another label when it is read again; .*belong into `data.augment`"),
        ("kept_noise", r"sample 0 of train has another x in the second; what a factory draws mu"),
        ("kept_labels", r"sample \d+ of train has another label in the second"),
        ("fewer", r"train has \d+ samples, then \d+; seed your split"),
        ("no_test", r"splits \[.*'train', 'val'\], then \[.*'train', 'val'\]"),
        ("classes", r"classes \w, \w, \w, then \w, \w, \w; give them in one order, sorted"),
    ],
)
def test_data_that_is_not_the_same_again_is_refused_with_what_differs(module, factory, message):
    torch.manual_seed(0)  # a seed that both builds would meet hides nothing
    with pytest.raises(DataError, match=message):
        load_data(factory=f"{module}:{factory}", verify=True)


@pytest.mark.parametrize("factory", ["seeded", "seeds_all"])
def test_a_seeded_factory_is_accepted_and_what_it_gives_is_not_changed(module, factory):
    twice = [load_data(factory=f"{module}:{factory}", verify=verify) for verify in (False, True)]
    assert twice[0].fingerprint == twice[1].fingerprint
    assert twice[0].split_digests == twice[1].split_digests


def test_the_users_random_state_is_as_it_was(module):
    def draws():
        return random.random(), np.random.rand(), float(torch.rand(()))  # noqa: NPY002

    def seeded():
        random.seed(7), np.random.seed(7), torch.manual_seed(7)  # noqa: NPY002

    seeded()
    expected = draws()
    seeded()
    load_data(factory=f"{module}:seeds_all", verify=True)
    assert draws() == expected


class Rare(Dataset):
    """One sample in a thousand is drawn again; too many to be read twice by chance alone."""

    classes = ("a", "b")

    def __len__(self):
        return 1000

    def __getitem__(self, index):
        return torch.full((2,), float(index)) + (random.random() if index == 500 else 0), index % 2


def test_objects_are_read_again_whole_where_that_is_quick():
    with pytest.raises(
        DataError, match="objects: sample 500 of train has another x when it is re"
    ):
        load_data(objects=Rare(), verify=True)
