"""A report as a list of blocks, from which the page and the Markdown are both made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dmtsearch.reporting.canvas import Drawing


@dataclass(frozen=True)
class Fact:
    """A number beside the answer: what, how much, and n or spread."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Command:
    """A command to give, and what it does."""

    label: str
    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    words: str


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    kind: ClassVar[str] = "items"
    items: tuple[str, ...]


@dataclass(frozen=True)
class TableBlock:
    """Rows of text.

    Attributes:
        columns: Heads.
        rows: As many cells as heads.
        numbers: Heads of the columns that are right-aligned.
        caption: What it shows, and n; empty where the text before says it.
        folded: A few words under which the page folds it away; None to show it.
        keys: What each cell is sorted by, where a reader may sort and filter; () where not.
        anchors: Where on the page the first cell of a row leads; "" for nowhere.
    """

    kind: ClassVar[str] = "table"
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...] = ()
    caption: str = ""
    folded: str | None = None
    keys: tuple[tuple[float | str, ...], ...] = ()
    anchors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figures:
    """One drawing, or small ones side by side."""

    kind: ClassVar[str] = "figures"
    drawings: tuple[Drawing, ...]


@dataclass(frozen=True)
class Code:
    """Text to copy: a command, or a file.

    Attributes:
        text: As it is.
        language: `console` or `yaml`.
        folded: As in `TableBlock`.
    """

    kind: ClassVar[str] = "code"
    text: str
    language: str
    folded: str | None = None


@dataclass(frozen=True)
class Named:
    """A file of several: `name` is its anchor."""

    name: str
    title: str
    text: str


@dataclass(frozen=True)
class Files:
    """Files to open one by one; a Markdown page leaves them out."""

    kind: ClassVar[str] = "files"
    folded: str
    files: tuple[Named, ...]


@dataclass(frozen=True)
class Comparison:
    """Two rows of a table beside each other, with what differs; a script lets others be chosen.

    Attributes:
        names: Of the two that are shown without a script.
        rows: What, and the value of each.
        changes: Their files line by line, as `diff` writes it.
    """

    kind: ClassVar[str] = "comparison"
    names: tuple[str, str]
    rows: tuple[tuple[str, str, str], ...]
    changes: str


Block = Text | Items | TableBlock | Figures | Code | Files | Comparison


@dataclass(frozen=True)
class Section:
    """A part of a report; `name` is its anchor."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A whole report.

    Attributes:
        name: Of the run's space.
        question: What was asked; None where the space does not say.
        answer: A sentence.
        details: What belongs to it, as a paragraph; may be empty.
        facts: Four numbers beside it.
        figure: The answer as a figure; None where nothing finished.
        commands: What to run now, in order.
        state: A line on how far the run is.
        splits: Which splits its accuracies are of.
        sections: In order.
    """

    name: str
    question: str | None
    answer: str
    details: str
    facts: tuple[Fact, ...]
    figure: Drawing | None
    commands: tuple[Command, ...]
    state: str
    splits: str
    sections: tuple[Section, ...]

    @property
    def drawings(self) -> tuple[Drawing, ...]:
        """Every drawing, in order."""
        first = (self.figure,) if self.figure is not None else ()
        return first + tuple(
            drawing
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Figures)
            for drawing in block.drawings
        )


def figures(drawings: Sequence[Drawing | None]) -> tuple[Figures, ...]:
    """A block of those that there are; none where there are none."""
    found = tuple(drawing for drawing in drawings if drawing is not None)
    return (Figures(found),) if found else ()
