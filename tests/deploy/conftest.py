"""A store of its own for each test; bundles and their exports, made once for all of them."""

from pathlib import Path

import pytest
import torch
from export_pieces import DIGITS, PLAIN, SENSORS
from kept import check_unchanged, contents

import dmtsearch
from dmtsearch.schedule import parse_schedule
from dmtsearch.store import Store, open_store


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture(scope="session")
def train_into_folder(tmp_path_factory):
    """Train a schedule's text into a new folder, to be read only; one store for all."""
    root, made = tmp_path_factory.mktemp("export"), []
    torch.set_num_threads(1)

    def call(text, **given):
        out = root / f"out{len(list(root.iterdir()))}"
        schedule = parse_schedule(text, "s.yaml")
        dmtsearch.train(schedule, out, store=open_store(str(root / "store")), **given)
        made.append((out, contents(out)))
        return out

    yield call
    check_unchanged(made)


@pytest.fixture(scope="session")
def plain_folder(train_into_folder):
    return train_into_folder(DIGITS.replace("MODEL", PLAIN))


@pytest.fixture(scope="session")
def selector_folder(train_into_folder):
    return train_into_folder(SENSORS.replace("FORM", "k: 3"))


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The file of a bundle in a format, made once."""
    made, root = {}, tmp_path_factory.mktemp("exported")

    def call(folder, format):
        if (folder, format) not in made:
            out = root / f"{len(made)}.{format}"
            made[folder, format] = dmtsearch.export(folder, format, out).file
        return made[folder, format]

    return call
