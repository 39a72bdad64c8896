"""What is to be confirmed, and which plan that makes: a new one, or the one that was begun."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dmtsearch.errors import UsageError
from dmtsearch.evidence import Looks
from dmtsearch.evidence.looks import FIRST_LOOKS, check_looks
from dmtsearch.human import counted

from .confirm_plan import MOST_STUDENTS, Confirmation, ConfirmPlan, first_seed
from .confirm_variants import DIMENSIONS

_MORE_LOOKS = 4
_MORE_REPLICATES = 4


@dataclass(frozen=True)
class ConfirmRequest:
    """What is to be confirmed, and how.

    Attributes:
        top: Trials among which one is chosen, by val; as many as for the last plan if None, 3 for
            the first.
        looks: Replicates at each look; 5, 8, 12, 16 if None, or as the plan that was begun.
        more: Look further where the last plan has ended; at half its level.
        trial: Test this trial; nothing is chosen then.
        vary: Which dimensions of the chosen schedule are explained; all if None.
        explain: Whether one-factor variants are trained at all.
        students: Of each arm for one first model (teacher): the test is over means of teachers.
            1 if None, or as the plan that was begun.

    Raises:
        UsageError: A value cannot be.
    """

    top: int | None = None
    looks: tuple[int, ...] | None = None
    more: bool = False
    trial: int | None = None
    vary: Sequence[str] | None = None
    explain: bool = True
    students: int | None = None

    def __post_init__(self) -> None:
        if self.top is not None and self.top < 1:
            raise UsageError(f"--top must be at least 1, got {self.top}")
        if self.looks is not None:
            check_looks(self.looks)
        if self.students is not None and not 1 <= self.students <= MOST_STUDENTS:
            raise UsageError(f"--students must be 1 to {MOST_STUDENTS}, got {self.students}")
        unknown = [name for name in self.vary or () if name not in DIMENSIONS]
        if unknown:
            raise UsageError(f"--vary {unknown[0]}: there are {', '.join(DIMENSIONS)}")

    @property
    def options(self) -> tuple[str, ...]:
        """The options of a `dmtsearch confirm` that requests the same."""
        given = {
            "--top": self.top,
            "--looks": None if self.looks is None else ",".join(map(str, self.looks)),
            "--trial": self.trial,
            "--students": self.students,
        }
        named = {name: str(value) for name, value in given.items() if value is not None}
        words = [word for pair in named.items() for word in pair]
        words += [word for name in self.vary or () for word in ("--vary", name)]
        flags = {"--more": self.more, "--no-explain": not self.explain}
        return (*words, *(name for name, wanted in flags.items() if wanted))


def next_plan(
    found: Confirmation,
    request: ConfirmRequest,
    candidates: tuple[int, ...],
    *,
    run_seed: int,
    is_given: bool,
    takes_students: bool,
    go_on: str,
) -> ConfirmPlan | None:
    """The plan that a request begins; None where it goes on with the last one, or repeats it.

    Args:
        found: What was confirmed so far.
        request: What is to be.
        candidates: The trials to choose from; others than those of the last plan begin a new one.
        run_seed: Of the search.
        is_given: Whether the first model is there already.
        takes_students: Whether a first model can have several students.
        go_on: The command that goes on with the last plan.

    Raises:
        UsageError: The request is not what the last plan was begun with.
    """
    number = len(found.plans) + 1
    last = found.plan if found.plans else None
    if last is None or last.candidates != candidates:
        students = request.students or 1
        if students > 1 and not takes_students:
            raise UsageError(
                "--students: a selector has a first model for each modality, and is replicated "
                "whole; leave --students out"
            )
        if students > 1 and is_given:
            raise UsageError(
                "--students: the first model is given, so every replicate is a student of this "
                "one already; leave --students out, and give more looks with --looks"
            )
        return ConfirmPlan(
            looks=Looks.of_plan(request.looks or FIRST_LOOKS, number),
            candidates=candidates,
            first_seed=first_seed(run_seed, number),
            students=students,
        )
    if request.students is not None and request.students != last.students:
        raise UsageError(
            f"the plan that was begun has {counted(last.students, 'student')} for each first "
            f"model: go on with it without --students ({go_on})"
        )
    at = last.looks.at
    if not found.is_over:
        if request.looks is not None and request.looks != at:
            raise UsageError(
                f"the plan that was begun looks at {_listed(at)}: go on with it without --looks "
                f"({go_on})"
            )
        return None
    if request.more:
        more = tuple(at[-1] + _MORE_REPLICATES * (k + 1) for k in range(_MORE_LOOKS))
        if request.looks is not None and request.looks[0] <= at[-1]:
            raise UsageError(
                f"--more looks past {at[-1]} replicates, where the last plan ended; got "
                f"{_listed(request.looks)}: leave --looks out for {_listed(more)}"
            )
        return replace(last, looks=Looks.of_plan(request.looks or more, number))
    known = [plan.looks.at for plan in found.plans]
    if request.looks is not None and request.looks not in known:
        raise UsageError(
            f"the plan has ended, its looks were at {_listed(at)}: to look further give --more, "
            f"at half its level ({go_on} --more)"
        )
    return None


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
