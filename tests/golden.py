"""Sentences that users read, in one file: a changed word is one regenerated file, not many tests.

    def test_a_mistake_gets_one_sentence(golden):
        golden("a misspelt field", problems_of(text))

A file has a part for each test and, in it, for each case the sentences as they are. After a change
that is meant, `pytest --rewrite-golden -n 0 tests/schedule tests/space` writes the parts of
the tests that ran again; read the difference before you commit it.
"""

from collections.abc import Iterable
from pathlib import Path

ERRORS = Path(__file__).parent / "schedule" / "errors.txt"

Parts = dict[str, dict[str, list[str]]]
"""By test, by case: the sentences."""


def read_golden(file: Path) -> Parts:
    """Return the sentences in `file`; nothing where there is none."""
    parts: Parts = {}
    cases: dict[str, list[str]] = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        if line.startswith("== "):
            cases = parts.setdefault(line[3:], {})
        elif line.startswith("-- "):
            sentences = cases.setdefault(line[3:], [])
        elif line:
            sentences.append(line.removeprefix("   "))
    return parts


def write_golden(file: Path, parts: Parts) -> None:
    """Write sentences as `read_golden` reads them."""
    lines: list[str] = []
    for name in sorted(parts):
        lines += [f"== {name}", ""]
        for case, sentences in parts[name].items():
            lines += [f"-- {case}", *(f"   {sentence}" for sentence in sentences), ""]
    file.write_text("\n".join(lines), encoding="utf-8")


class Golden:
    """The sentences of one test, compared with the file or, on demand, written to it."""

    def __init__(self, test: str, *, rewrite: bool, fresh: set[str]) -> None:
        self.test, self.rewrite, self.fresh = test, rewrite, fresh

    def __call__(self, case: str, sentences: Iterable[str]) -> None:
        """Compare what `case` of this test says with what it said before."""
        label, found = case.replace("\n", "\\n"), list(sentences)
        parts = read_golden(ERRORS)
        if self.rewrite:
            if self.test not in self.fresh:  # cases that are gone leave the file
                self.fresh.add(self.test)
                parts[self.test] = {}
            parts[self.test][label] = found
            write_golden(ERRORS, parts)
        known = parts.get(self.test, {}).get(label)
        assert found == known, "see tests/golden.py where the change is meant"
