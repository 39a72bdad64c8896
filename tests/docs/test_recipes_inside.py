"""The recipes of docs/how_to_add.md for what ships, as they stand, made to a copy of the package.

Starts no Ray.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_pages import ROOT

pytestmark = pytest.mark.engine

TEXT = (ROOT / "docs" / "how_to_add.md").read_text(encoding="utf-8")
SHORT = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow and not fuzz and not engine"]
CONTRACTS = [
    *("tests/models/test_models_contract.py", "tests/models/test_models_grid.py"),
    *("tests/losses/test_losses_contract.py", "tests/losses/test_losses_reverse_kl.py"),
    *(
        "tests/losses/test_losses_l1.py",
        "tests/data/test_data_ramps.py",
        "tests/data/test_data_degrade.py",
    ),
    *("tests/basics/test_names.py", "tests/training/test_training_keys_pinned.py"),
    "tests/training/test_training_key_defaults.py",
]
NEW = "grid or reverse_kl or l1 or ramps or fog or names or pinned or has_not_changed"
FILES = {
    "A data set that ships": 3,
    "A family": 3,
    "A soft loss that ships": 3,
    "A hint loss that ships": 3,
    "A preset": 2,
    "A field of a stage": 2,
    "A degradation": 2,
    "A control arm": 1,
}
"""How many files the page's recipes touch, tests included."""
USE = """
import json
import dmtsearch
from dmtsearch.data.degradations import degradation_table
from dmtsearch.schedule import load_schedule

run = dmtsearch.search("mine.yaml", out="run", backend="inline", store="store")
trials = run.trials
page = dmtsearch.report(run.folder).markdown.read_text()
load_schedule("eyes.yaml")
stages = {stage.name: stage.params for stage in dmtsearch.check("mine.yaml").schedule.stages}
print(json.dumps({
    "status": sorted(set(trials["status"])),
    "arms": sorted(set(trials["arm"])),
    "ramps": trials[trials["arm"] == "search"]["val_accuracy"].max(),
    "meaning": "direct at temperature 1" in page,
    "fog": "| `fog` | a share of about 0.9 s of white | - |" in degradation_table(),
    "teacher": stages["teacher"],
    "assistant": stages["assistant"],
}))
"""
SPACE = """
dmtsearch: 1
search: {sampler: qmc, pruner: percentile, trials: 3, controls: [direct_cold]}
data: {name: ramps}
defaults: {epochs: 2, optimizer: {batch: 32}}
stages:
  teacher: {model: {preset: cnn4}}
  assistant: {source: teacher, model: {family: grid, cells: 4}}
  student:
    source: assistant
    model: {family: plain, widths: [4, 8], convs: 1}
    soft: {loss: reverse_kl, temperature: {choice: [1, 2, 4]}}
    hints: [{source: block1, at: block1, loss: l1}]
"""
EYES = """
dmtsearch: 1
data: {name: synthetic_eyes, args: {identities: 4}}
stages:
  iris: {modality: iris, model: {family: plain, widths: [4, 8]}}
  periocular: {modality: periocular, model: {family: plain, widths: [4, 8]}}
  selector:
    select: [iris, periocular]
    model: {family: mlp, hidden: [8]}
    degrade: [{kind: fog, severity: [0.1, 1]}]
"""


def changes(text: str) -> Iterator[tuple[str, str, str]]:
    """Each change of a block: the file, the lines as they are, the lines as they are to be."""
    for file, hunks in re.findall(r"^--- (\S+)\n((?:(?!--- ).*\n)*)", text, re.MULTILINE):
        for hunk in re.split(r"^@@\n", hunks, flags=re.MULTILINE):
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] or "\n" for line in lines if line[0] in " -")
            after = "".join(line[1:] or "\n" for line in lines if line[0] in " +")
            yield file, before, after


def new_files(text: str) -> Iterator[tuple[str, str]]:
    """Each file that a page or a part of it adds, with its text."""
    for code in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        name = code.splitlines()[0].removeprefix("# ")
        if name.startswith(("dmtsearch/", "tests/")):
            yield name, code.partition("\n")[2]


def blocks(text: str) -> list[str]:
    """The changes that a page or a part of it makes."""
    return re.findall(r"^```diff\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def parts() -> dict[str, str]:
    """The page's recipes: what is below a heading or below words in bold, by their text."""
    found = re.split(r"^(?:## (.+)|\*\*(.+?)\.\*\*)", TEXT, flags=re.MULTILINE)
    names = [heading or words for heading, words in zip(found[1::3], found[2::3], strict=True)]
    return dict(zip(names, found[3::3], strict=True))


def follow(copy: Path) -> None:
    """Make all changes of the page to a copy of the repository's package."""
    for name, code in new_files(TEXT):
        assert not (copy / name).exists()
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(code)
    for block in blocks(TEXT):
        for file, before, after in changes(block):
            text = (copy / file).read_text()
            assert text.count(before) == 1, f"{file} has {text.count(before)} of:\n{before}"
            (copy / file).write_text(text.replace(before, after))


@pytest.mark.parametrize("name", FILES)
def test_a_recipe_touches_few_files(name: str) -> None:
    part = parts()[name]
    files = [file for file, _ in new_files(part)]
    files += [file for block in blocks(part) for file, _, _ in changes(block)]
    assert len(set(files)) == FILES[name], files


@pytest.mark.slow
def test_everything_that_is_added_as_the_page_says_works_in_a_search(tmp_path: Path) -> None:
    for folder in ("dmtsearch", "tests", "search_spaces"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    follow(tmp_path)
    (tmp_path / "mine.yaml").write_text(SPACE)
    (tmp_path / "eyes.yaml").write_text(EYES)

    def run(*words: str) -> str:
        ran = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert ran.returncode == 0, (ran.stdout + ran.stderr)[-3000:]
        return ran.stdout

    run("-m", "pytest", *SHORT, *CONTRACTS, "-k", NEW)
    found = json.loads(run("-c", USE).splitlines()[-1])
    assert found.pop("ramps") > 0.5
    assert found == {
        "status": ["done"],
        "arms": ["direct_cold", "search"],
        "meaning": True,
        "fog": True,
        # By hand: 3 x 3 filters 1 to 8 to 8 to 16 to 16, biases, norms, 2 x 2 x 16 to 4 classes.
        "teacher": 9 * (8 + 64 + 128 + 256) + 48 + 2 * 48 + 64 * 4 + 4,
        "assistant": (9 + 1) * 4 + (4 * 4 * 4 + 1) * 4,
    }
