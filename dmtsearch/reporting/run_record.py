"""A run folder as one frozen value. Nothing in it is written or locked."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmtsearch.engine.ledger import read_state
from dmtsearch.engine.ledger_lines import (
    ArmMissing,
    Redrawn,
    RunStarted,
    SearchEnded,
    StageEnded,
    TrialEnded,
    TrialProposed,
)
from dmtsearch.engine.run_paths import RunPaths
from dmtsearch.errors import DmtSearchError, UsageError
from dmtsearch.fields import Checked, Object
from dmtsearch.files import read_regular
from dmtsearch.human import command_line
from dmtsearch.space import Space, load_space

MOST_BYTES = 1 << 24
"""Of `run.json` and of `space.yaml`."""


_FIELDS = ("question", "scientific", "nuisance", "fixed", "budget")

_FIELD = re.compile(rf"^({'|'.join(_FIELDS)})\s*:\s*(.*)$", re.IGNORECASE)


@dataclass(frozen=True)
class Heading:
    """The parts of a space's opening comment; None where it does not say.

    Attributes:
        question: What the space asks.
        scientific: The parameters that it asks about.
        nuisance: Those that must be set well for a fair comparison.
        fixed: Those that are the same in every trial, on which what is found depends.
        budget: What it costs.
    """

    question: str | None = None
    scientific: str | None = None
    nuisance: str | None = None
    fixed: str | None = None
    budget: str | None = None


def read_heading(path: Path) -> Heading:
    """Return the opening comment of the file at `path`; an empty heading where there is none."""
    try:
        text = read_regular(path, most=MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return Heading()
    return parse_heading(text)


def parse_heading(text: str) -> Heading:
    """Read `# Question: ...`, `# Fixed: ...` and so on; a line without a name goes on.

    A blank comment line ends a part.
    """
    parts: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        words = line.lstrip("#").strip()
        found = _FIELD.match(words)
        if found is not None:
            current = parts.setdefault(found.group(1).lower(), [])
            words = found.group(2)
        if not words:
            current = None
        elif current is not None:
            current.append(words)
    joined = {name: " ".join(lines).rstrip() for name, lines in parts.items() if lines}
    return Heading(**joined)


@dataclass(frozen=True)
class Trial:
    """A trial as proposed, and how it ended; `ended` is None while it has not."""

    asked: TrialProposed
    ended: TrialEnded | None

    @property
    def status(self) -> str:
        """`done`, `pruned`, `failed` or `unfinished`."""
        return self.ended.status if self.ended is not None else "unfinished"

    @property
    def is_search(self) -> bool:
        """Whether it fills the space; else it is a run of a control arm."""
        return self.asked.arm == "search"

    def value(self, objective: str) -> float | None:
        """What it reached; None unless it is done and has that objective.

        Val accuracy is known of every trial, objective or not.
        """
        if self.ended is None or self.ended.status != "done":
            return None
        value = self.ended.objectives.get(objective)
        if value is None and objective == "val_accuracy":
            value = self.ended.metrics.get("accuracy")
        return None if value is None else float(value)


@dataclass(frozen=True)
class RunRecord:
    """What a run folder says.

    Attributes:
        root: The folder, as it was named.
        trials: In order of proposal.
        stages: How each requested stage ended, by key: the last time it did.
        stage_lines: The same, each time.
        redrawn: Draws that were not tried.
        missing: Control arms that the space cannot have.
        starts: Of drivers, oldest first.
        stop: Why the last driver stopped; None while it runs, or where it was killed.
        facts: `run.json`, or {}.
        space: None where `space.yaml` is missing or not readable by this version.
        heading: What the space's file says of itself.
    """

    root: Path
    trials: tuple[Trial, ...]
    stages: Mapping[str, StageEnded]
    stage_lines: tuple[StageEnded, ...]
    redrawn: tuple[Redrawn, ...]
    missing: tuple[ArmMissing, ...]
    starts: tuple[RunStarted, ...]
    stop: SearchEnded | None
    facts: Mapping[str, Any]
    space: Space | None
    heading: Heading

    @property
    def name(self) -> str:
        """Of the space, else of the folder."""
        if self.starts and self.starts[-1].space:
            return self.starts[-1].space
        return self.space.name if self.space is not None else self.root.resolve().name

    @property
    def question(self) -> str | None:
        """What the search asks, in the space's words; None where it does not say."""
        asked = self.starts[-1].question if self.starts else None
        if asked is None and self.space is not None:
            asked = self.space.search.question
        return asked or self.heading.question

    @property
    def objectives(self) -> dict[str, str]:
        """Name to `max` or `min`, in order."""
        if self.starts:
            return dict(self.starts[-1].objectives)
        if self.space is not None:
            return {str(name): way for name, way in self.space.search.objectives.items()}
        return {"val_accuracy": "max"}

    @property
    def main(self) -> str:
        """What one trial is called best by: the objective; of several, val accuracy."""
        names = list(self.objectives)
        return names[0] if len(names) == 1 else "val_accuracy"

    @property
    def direction(self) -> str:
        """`max` or `min`, of `main`."""
        return self.objectives.get(self.main, "max")

    def search_trials(self, status: str | None = None) -> tuple[Trial, ...]:
        """Trials that fill the space, of one status if given."""
        return tuple(
            trial
            for trial in self.trials
            if trial.is_search and (status is None or trial.status == status)
        )

    def finished(self) -> tuple[tuple[Trial, float], ...]:
        """Search trials that are done and have the main objective, each with its value."""
        return tuple(
            (trial, value)
            for trial in self.search_trials("done")
            if (value := trial.value(self.main)) is not None
        )

    def ranked(self) -> tuple[tuple[Trial, float], ...]:
        """The finished trials, the best by the main objective first; of equals the earliest."""
        sign = -1.0 if self.direction == "max" else 1.0
        return tuple(sorted(self.finished(), key=lambda one: (sign * one[1], one[0].asked.trial)))


def read_run(run: str | Path) -> RunRecord:
    """Return what the run folder at `run` says; a search may be writing to it meanwhile.

    Raises:
        UsageError: There is no such folder, or it is not a run folder.
        DmtSearchError: A line of its ledger cannot be read.
    """
    paths = RunPaths(Path(run))
    if not paths.root.is_dir():
        raise UsageError(f"{run}: no such folder; give the run folder of a search (--out)")
    if paths.run.is_file() and not os.path.lexists(paths.ledger):
        raise UsageError(
            f"{run}: no {paths.ledger.name} there: this search has tried nothing yet, or the file "
            f"is lost; see `{command_line('status', run)}`"
        )
    if not os.path.lexists(paths.ledger):
        raise UsageError(
            f"{run}: not a run folder: it holds no {paths.ledger.name}; give what "
            "`dmtsearch search SPACE --out RUN` wrote"
        )
    paths.refuse_odd_files()
    state = read_state(paths.ledger)
    return RunRecord(
        root=paths.root,
        trials=tuple(
            Trial(asked, state.ends.get(number)) for number, asked in sorted(state.trials.items())
        ),
        stages={line.key: line for line in state.stages},
        stage_lines=state.stages,
        redrawn=state.redrawn,
        missing=tuple(state.missing.values()),
        starts=state.runs,
        stop=state.ended,
        facts=_facts(paths.run),
        space=_space(paths.space),
        heading=read_heading(paths.space),
    )


@dataclass(frozen=True)
class Facts:
    """`run.json` as a report shows it: any facts, of any version."""

    facts: Object


def _facts(path: Path) -> Mapping[str, Any]:
    try:
        found = Checked(Facts).read(b'{"facts":' + read_regular(path, most=MOST_BYTES) + b"}")
    except (OSError, ValueError):
        return {}
    return found.facts


def _space(path: Path) -> Space | None:
    try:
        return load_space(path)
    except (OSError, DmtSearchError):
        # A report of what was found is worth more than its question: the ledger is the truth.
        return None
