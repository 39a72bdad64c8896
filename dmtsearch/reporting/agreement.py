"""How alike student and source answer along the chain, and which errors are handed on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dmtsearch.engine.ledger_lines import TrialProposed
from dmtsearch.errors import DmtSearchError
from dmtsearch.human import percent
from dmtsearch.reporting.layout import Block, Section, TableBlock, Text
from dmtsearch.reporting.recommended import Recommended
from dmtsearch.reporting.run_record import Trial
from dmtsearch.schedule import expand, parse_schedule
from dmtsearch.stats import wilson

Predict = Callable[[TrialProposed], tuple[npt.NDArray[Any], Mapping[str, npt.NDArray[Any]]]]
"""Gives val labels and each stage's predicted classes; raises DmtSearchError or ImportError."""


@dataclass(frozen=True)
class Pair:
    """A source and what learned from it, on the same samples.

    Attributes:
        source, student: Names of stages.
        n: Samples.
        agreement: Share with the same class, in [0, 1].
        kappa: Cohen's: agreement beyond what the class frequencies give; None where these leave
            no room for any.
        errors: Of the source.
        inherited: Those in which the student gives the same wrong class.
    """

    source: str
    student: str
    n: int
    agreement: float
    kappa: float | None
    errors: int
    inherited: int


@dataclass(frozen=True)
class Agreement:
    """Along one chain; `missing` says why there is none, or is None.

    Attributes:
        name: The schedule's.
        seed: Of the run of it that was looked at.
    """

    name: str
    seed: int
    pairs: tuple[Pair, ...]
    missing: str | None


def gather_agreement(
    found: Recommended | None, best: Trial | None, predict: Predict | None
) -> Agreement | None:
    """Compare stages with their sources, in what is recommended or else in the best trial.

    None where no stage of either learns from another.

    References:
        Cohen, "A Coefficient of Agreement for Nominal Scales", 1960.
    """
    candidates = [(found.name, found.asked)] if found is not None else []
    if best is not None:
        candidates.append((f"trial {best.asked.trial}", best.asked))
    name, asked, links = next(
        ((name, asked, links) for name, asked in candidates if (links := _links(asked))),
        ("", None, []),
    )
    if asked is None:
        return None
    if predict is None:
        return Agreement(name, asked.seed, (), "this page was made without trained stages")
    try:
        labels, classes = predict(asked)
    except DmtSearchError as error:
        return Agreement(name, asked.seed, (), str(error).splitlines()[0].rstrip("."))
    except ImportError as error:
        return Agreement(name, asked.seed, (), f"{error.name or 'torch'} is not installed")
    pairs = tuple(
        compare_answers(source, student, labels, classes[source], classes[student])
        for source, student in links
        if source in classes and student in classes
    )
    missing = None if pairs else "its stages are no single networks"
    return Agreement(name, asked.seed, pairs, missing)


def _links(asked: TrialProposed) -> list[tuple[str, str]]:
    """Each source with what learns from it; [] where this version cannot read the schedule."""
    try:
        whole = expand(parse_schedule(asked.schedule))
    except DmtSearchError:
        return []
    names = {stage.name for stage in asked.stages}
    return [
        (source.stage, stage.name)
        for stage in whole.stages
        for source in stage.sources
        if stage.name in names
    ]


def compare_answers(
    source: str,
    student: str,
    labels: npt.NDArray[Any],
    of_source: npt.NDArray[Any],
    of_student: npt.NDArray[Any],
) -> Pair:
    """Compare two models' classes, shape [N] each, on samples with `labels`."""
    n = len(labels)
    same = float((of_source == of_student).mean())
    every = np.union1d(of_source, of_student)
    chance = float(sum((of_source == c).mean() * (of_student == c).mean() for c in every))
    wrong = of_source != labels
    return Pair(
        source=source,
        student=student,
        n=n,
        agreement=same,
        kappa=(same - chance) / (1 - chance) if chance < 1 else None,
        errors=int(wrong.sum()),
        inherited=int((wrong & (of_source == of_student)).sum()),
    )


def agreement_section(found: Agreement | None) -> Section:
    """A row a pair, or why there is none."""
    title = "What students take over from their sources"
    if found is None:
        words = "No finished schedule here has a stage that learns from another."
        return Section("agreement", title, (Text(words),))
    if found.missing is not None:
        words = f"Agreement of students and sources is not shown: {found.missing}."
        return Section("agreement", title, (Text(words),))
    columns = ("source", "student", "agreement", "kappa", "errors of the source", "inherited",
               "95 %")  # fmt: skip
    blocks: list[Block] = [
        Text(_sentence(found.pairs)),
        TableBlock(
            columns,
            tuple(_row(pair) for pair in found.pairs),
            columns[2:],
            f"Of {found.name}, seed {found.seed}, n = {found.pairs[0].n:,} val samples. Kappa: "
            "agreement beyond what the frequencies of the classes give by chance; 0 is chance, 1 "
            "complete. Inherited: errors of the source in which the student gives the same wrong "
            "class.",
        ),
    ]
    return Section("agreement", title, tuple(blocks))


def _sentence(pairs: Sequence[Pair]) -> str:
    last = pairs[-1]
    kappa = f" (kappa {round(last.kappa, 2) + 0.0:.2f})" if last.kappa is not None else ""
    taken = (
        f" It repeats {last.inherited} of the source's {last.errors} errors."
        if last.errors
        else " The source makes no error there."
    )
    return (
        f"{last.student} gives the class of its source {last.source} on {percent(last.agreement)} "
        f"of val{kappa}.{taken}"
    )


def _row(pair: Pair) -> tuple[str, ...]:
    share = percent(pair.inherited / pair.errors) if pair.errors else "-"
    ends = wilson(pair.inherited, pair.errors) if pair.errors else None
    return (
        pair.source,
        pair.student,
        percent(pair.agreement),
        "-" if pair.kappa is None else f"{pair.kappa:.3f}",
        str(pair.errors),
        share,
        "-" if ends is None else f"{100 * ends[0]:.0f} to {100 * ends[1]:.0f} %",
    )
