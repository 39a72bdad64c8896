"""The documentation as data: its pages, their examples, and what stands in backticks."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "cluster" / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


class Page:
    """A page: its prose, and its blocks of code by language."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.prose = _FENCE.sub("", self.text)
        self._blocks = _FENCE.findall(self.text)

    def blocks(self, *languages: str) -> list[str]:
        """Blocks of code in these languages, in order."""
        return [text for language, text in self._blocks if language in languages]

    @property
    def inline(self) -> list[str]:
        """What stands in backticks within the prose, on one line each."""
        return [" ".join(text.split()) for text in _INLINE.findall(self.prose)]

    def section(self, heading: str) -> str:
        """The prose below a heading, up to the next one of any level."""
        _, found, rest = self.text.partition(f"\n{heading}\n")
        assert found, f"{self.path.name} has no heading {heading!r}"
        return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]

    def rows(self, heading: str) -> list[list[str]]:
        """The cells of the table below a heading, without its header."""
        lines = [line for line in self.section(heading).splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def in_backticks(text: str) -> list[str]:
    """What a text has in backticks."""
    return _INLINE.findall(text)
