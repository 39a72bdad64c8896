"""Commands that are printed to be copied: a shell reads them back, whatever a folder is called."""

import ast
import re
import shlex
from pathlib import Path

import pytest

import dmtsearch

COMMAND = re.compile(
    r"dmtsearch (?:check|train|search|resume|status|report|evaluate|export)\b[^`]*$"
)
NAMES = ["my photos/small one.yaml", "it's mine.yaml", "größe.yaml", "$HOME & co.yaml"]


def next_words(text):
    (line,) = (line for line in text.splitlines() if line.startswith("Next: "))
    return shlex.split(line.removeprefix("Next: "))


@pytest.mark.parametrize("name", NAMES)
def test_the_next_command_of_check_can_be_copied_whatever_the_file_is_called(run, small, name):
    file = Path(name)
    file.parent.mkdir(exist_ok=True)
    file.write_text(small.read_text())
    program, command, given, *_ = words = next_words(run("check", "--no-time", file).out)
    assert (program, command, given) == ("dmtsearch", "train", name)
    assert words[words.index("--out") + 1] == f"out/{file.stem}"


def test_train_and_evaluate_name_a_folder_with_spaces_so_that_the_next_command_runs(run, small):
    trained = run("train", small, "--out", "my models/it's one")
    assert next_words(trained.out) == ["dmtsearch", "evaluate", "my models/it's one"]
    scored = run(*next_words(trained.out)[1:])
    assert next_words(scored.out) == ["dmtsearch", "export", "my models/it's one"]


def test_a_refusal_quotes_the_folder_in_the_command_that_it_advises(run, small):
    Path("a run").mkdir()
    Path("a run", "run.json").write_text("{}")
    ran = run("search", small, "--out", "a run", "--set", "stages.teacher.epochs={int: [1, 2]}")
    assert ran.code == 1
    assert "`dmtsearch resume 'a run'`" in ran.err


def test_no_command_is_put_together_without_quoting():
    """Every f-string of ours that begins a command and goes on with a value is named here."""
    found = []
    for file in sorted(Path(dmtsearch.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.JoinedStr):
                continue
            for part, after in zip(node.values, node.values[1:], strict=False):
                is_text = isinstance(part, ast.Constant)
                if is_text and COMMAND.search(str(part.value)) and not isinstance(
                    after, ast.Constant
                ):  # fmt: skip
                    found.append(f"{file.name}:{node.lineno}: {part.value}")
    assert found == []


@pytest.mark.parametrize("option", ["--older-than", "--max-size"])
def test_a_negative_limit_of_gc_is_wrong_usage(run, option):
    refused = run("store", "gc", option, "-3")
    assert refused.code == 2
    assert option in refused.err
