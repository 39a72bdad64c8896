"""What a document tells a reader to run, in the order in which it stands there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from typer.main import get_command

from dmtsearch.cli.main import app

README = Path(__file__).parents[2] / "README.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$|`(dmtsearch [a-z][^`]*)`", re.MULTILINE | re.DOTALL)
_PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b|s3://")
"""`SPACE`, `DIR`: not a command but the form of one."""


@dataclass(frozen=True)
class Step:
    """Something to run, or a file to write.

    Attributes:
        kind: `shell`, `python`, `yaml` or `output` (of the command before).
        text: The command, the code, the file, or the output that is shown.
    """

    kind: str
    text: str


def steps(document: str) -> Iterator[Step]:
    """Every block and every inline command of a Markdown document, from top to bottom."""
    for found in _BLOCK.finditer(document):
        language, text, inline = found.groups()
        if inline is not None:
            if not _PLACEHOLDER.search(inline) and len(inline.split()) > 2:
                yield Step("shell", inline)
        elif language == "bash":
            for line in text.splitlines():
                if command := line.split(" #")[0].strip():
                    yield Step("shell", command)
        elif language == "console":
            yield from _console(text)
        elif language in ("python", "yaml"):
            yield Step(language, text)


def _console(text: str) -> Iterator[Step]:
    lines = text.splitlines()
    if lines[0].startswith("$ "):
        yield Step("shell", lines.pop(0)[2:].split(" #")[0].strip())
    yield Step("output", "\n".join(lines))


def help_examples() -> dict[str, str]:
    """The example of each command's `--help`, by the command's name."""
    found: dict[str, str] = {}
    todo = [("", get_command(app))]
    while todo:
        name, command = todo.pop(0)
        below = getattr(command, "commands", None)
        if below is not None:
            todo += [(f"{name} {key}".strip(), value) for key, value in below.items()]
            continue
        text = " ".join((command.callback.__doc__ or "").split())
        example = re.search(r"Example: `([^`]+)`", text)
        found[name] = example[1] if example else ""
    return found


def shape(text: str) -> list[str]:
    """Lines with numbers as `#`: what a command says wherever and whenever it runs."""
    masked = re.sub(r"\d[\d,.]*(?:e[+-]?\d+)?", "#", text)
    return [re.sub(r"[ ─]+", " ", line).strip() for line in masked.strip().splitlines()]
