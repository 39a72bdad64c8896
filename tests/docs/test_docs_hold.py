"""What the documentation names is there: files, commands, fields, keys; its examples are valid."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from doc_pages import ROOT, in_backticks

import dmtsearch
from dmtsearch.cli.main import app
from dmtsearch.engine import OBJECTIVES
from dmtsearch.errors import DmtSearchError
from dmtsearch.names import DATA_SETS, PRESETS
from dmtsearch.schedule import load_schedule
from dmtsearch.space import RECIPES, is_space, json_schema, load_space

SCHEMA = json_schema()
COMMANDS = typer.main.get_command(app)


# -- examples -----------------------------------------------------------------------------------


def test_every_example_of_a_schedule_is_one(page, tmp_path):
    for number, text in enumerate(page.blocks("yaml")):
        file = tmp_path / f"example{number}.yaml"
        file.write_text(text)
        try:
            (load_space if is_space(file) else load_schedule)(file)
        except DmtSearchError as error:
            pytest.fail(f"{page.path.name}: {error}\n\n{text}")


def test_the_examples_of_own_data_and_models_pass_a_check(page, tmp_path, monkeypatch):
    sources = [text for text in page.blocks("python") if text.startswith("# my_lab.py")]
    if not sources:
        assert page.path.name != "how_to_add.md"
        return
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("my_lab.py").write_text("\n".join(sources))
    for number, text in enumerate(page.blocks("yaml")):
        file = Path(f"example{number}.yaml")
        file.write_text(text)
        report = dmtsearch.check(file, store=str(tmp_path / "store"))
        assert report.problems == ()


# -- files and commands -------------------------------------------------------------------------


def test_every_file_that_is_named_is_there(page):
    folders = "|".join(path.name for path in ROOT.iterdir() if path.is_dir())
    looks_like_one = re.compile(rf"({folders})/[\w./-]*|[A-Z]+\.md|pyproject\.toml")
    made = {"reports/RUN", "build/docs"}
    for text in set(page.inline) - made:
        if looks_like_one.fullmatch(text):
            assert (ROOT / text).exists(), f"{page.path.name}: no {text}"


def test_every_link_to_a_file_of_the_repository_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]*)(?:#[^)]*)?\)", page.prose):
        if target and "://" not in target:
            assert (page.path.parent / target).exists(), f"{page.path.name}: no {target}"


def test_every_command_and_option_that_is_named_is_there(page):
    lines = [
        line.removeprefix("$ ")
        for block in page.blocks("bash", "console")
        for line in block.splitlines()
    ]
    found = [text for text in (*page.inline, *lines) if text.startswith("dmtsearch ")]
    for line in found:
        words = shlex.split(line, comments=True)[1:]
        command = COMMANDS
        while words and hasattr(command, "commands") and not words[0].startswith("-"):
            assert words[0] in command.commands, f"{page.path.name}: no command in {line!r}"
            command = command.commands[words.pop(0)]
        for word in words:
            assert not word.startswith("--") or word in _options(command), line


def test_every_option_that_is_named_alone_belongs_to_a_command(page):
    known = set().union(*(_options(command) for command in _commands(COMMANDS)))
    for text in page.inline:
        if text.startswith("--"):
            assert text.split()[0] in known, f"{page.path.name}: no option {text}"


def _options(command):
    return {"--help"} | {name for parameter in command.params for name in parameter.opts}


def _commands(group):
    yield group
    for command in getattr(group, "commands", {}).values():
        yield from _commands(command)


def test_every_make_target_that_is_named_is_there(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [line for block in page.blocks("bash") for line in block.splitlines()]
    for text in (*page.inline, *lines):
        if match := re.match(r"make ([a-z]+)\b", text):
            assert match[1] in targets, f"{page.path.name}: no target {text!r}"


@pytest.fixture(scope="module")
def source():
    return "\n".join(path.read_text() for path in (ROOT / "dmtsearch").rglob("*.py"))


def test_every_name_of_the_code_that_is_named_is_there(page, source):
    placeholder = re.compile(r"FILE|NAME.*|KEY|RUN|DIR|STAGE.*|POINT")
    for text in page.inline:
        if re.fullmatch(r"[A-Z][A-Za-z_]{3,}", text) and not placeholder.fullmatch(text):
            assert re.search(rf"\b{text}\b", source), f"{page.path.name}: no {text}"
        if text.startswith("dmtsearch.") and not text.endswith(".json"):
            assert hasattr(dmtsearch, text.split(".")[1].split("(")[0]), text


def test_no_comment_cites_a_page_or_a_section_that_is_not_there():
    files = [path for room in ("dmtsearch", "tests", "benchmarks") for path in _python(room)]
    for path in files:
        text = path.read_text()
        for cited in re.findall(r"\b(?:docs/\w+|[A-Z]{4,})\.md\b", text):
            assert (ROOT / cited).exists(), f"{path.relative_to(ROOT)} cites {cited}"
        for cited, section in re.findall(r'(docs/\w+\.md), "([^"]+)"', " ".join(text.split())):
            headings = re.findall(r"^#+ (.*)$", (ROOT / cited).read_text(), re.MULTILINE)
            assert section in headings, f"{path.relative_to(ROOT)} cites {cited}, {section!r}"


def _python(room):
    return sorted((ROOT / room).rglob("*.py"))


# -- fields -------------------------------------------------------------------------------------


def _properties(definition):
    return SCHEMA["$defs"][definition]["properties"]


def _blocks_of(schema):
    """The names of blocks that a field may hold."""
    return re.findall(r"'#/\$defs/(\w+)'", str(schema).replace("#/$defs/Hole", ""))


def _is_field(path, fields):
    name, _, rest = path.partition(".")
    if name not in fields:
        return False
    return not rest or any(_is_field(rest, _properties(b)) for b in _blocks_of(fields[name]))


def test_every_path_to_a_field_that_is_named_is_there(page):
    top = {**SCHEMA["properties"], **_properties("SelectorStage"), **_properties("Stage")}
    for text in page.inline:
        path = text.split(":")[0]
        if re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", path) and path.split(".")[0] in top:
            is_file = path.rpartition(".")[2] in ("json", "safetensors", "yaml", "csv")
            assert is_file or _is_field(path, top), f"{page.path.name}: no field {path}"
        if match := re.fullmatch(r"(\w+Spec)\.(\w+)", text):
            assert match[2] in _properties(match[1]), text


def test_the_schedule_page_uses_no_word_that_a_schedule_does_not_have(schedule_page):
    known = set(re.findall(r"'([\w-]+)'", str(SCHEMA)))
    known |= {*RECIPES, *PRESETS, *COMMANDS.commands}
    examples = {"no", "off", "all", "passes", "draws", "pareto", "assistant", "block1", "block2"}
    words = {text for text in schedule_page.inline if re.fullmatch(r"[a-z][\w-]*", text)}
    assert words - known - examples == set()


def test_the_reference_has_a_table_for_every_block_and_a_row_for_every_field(
    reference, schedule_page
):
    shown = re.findall(r"^```\{fields\} (\w+)$", schedule_page.text, re.MULTILINE)
    assert sorted(shown) == sorted(reference.BLOCKS)
    assert {*reference.BLOCKS.values(), *reference.ALIKE} == {"", *SCHEMA["$defs"]}
    for block in shown:
        assert f"(fields-{block.replace('_', '-')})=" in schedule_page.text
        rows = reference.table(block).splitlines()[2:]
        fields = {in_backticks(row)[0]: row for row in rows}
        assert fields.keys() == reference.properties(block).keys()
        assert all(row.count("|") - row.count(r"\|") == 5 for row in rows)


@pytest.mark.parametrize(
    ("block", "field", "cells"),
    [
        ("soft", "temperature", ("number > 0", "`4`")),
        ("hint", "source", ("text or number in [0, 1]", "**required**")),
        ("stage", "keep", ("`best` or `last`", "`last`")),
        ("stage", "augment", ("`none` or `crop_flip`", "`data.augment`")),
        ("model", "norm", ("`true` or `false`", "`true` (plain); `false` (mlp)")),
        ("optimizer", "weight_decay", ("number >= 0", "`0.01` (adamw); `0` (adam, sgd)")),
        ("merit", "increment", ("number in [-0.5, 0.5]", "`0.1`")),
        ("pruner", "min_fraction", ("number in (0, 1)", "`0.25`")),
        ("file", "seed", ("whole number", "`0`")),
    ],
)
def test_a_row_of_the_reference_says_type_bounds_and_default(reference, block, field, cells):
    rows = [row.split(" | ") for row in reference.table(block).splitlines()]
    row = next(row for row in rows if row[0] == f"| `{field}`")
    assert tuple(row[1:3]) == cells


@pytest.mark.parametrize(("table", "known"), [("arms", RECIPES), ("objectives", OBJECTIVES)])
def test_tables_of_the_code_are_listed_by_their_rows(reference, schedule_page, table, known):
    _, _, *rows = getattr(reference, table)().splitlines()
    assert [in_backticks(row)[0] for row in rows] == list(known)
    assert all(len(row.split(" | ")) == 2 for row in rows)
    assert f"```{{{table}}}\n```" in schedule_page.text


def test_the_readme_lists_every_data_set():
    text = (ROOT / "README.md").read_text()
    rows = text.partition("\n## Data sets\n")[2].partition("\n\nSets that")[0].splitlines()
    named = [name for row in rows[3:] for name in in_backticks(row.split(" | ")[0])]
    assert sorted(named) == sorted(DATA_SETS)
