"""Every error that dmtsearch raises on purpose, in one tree.

A message names the rule, the value, the place and the remedy. `args` always rebuild the error,
since errors travel between processes. The command line turns any `DmtSearchError` into its
text and exit code 1, never into a traceback.
"""

import difflib
from collections.abc import Iterable, Sequence


class DmtSearchError(Exception):
    """Base of all errors raised on purpose; its text is written for a user."""


class ProblemsError(DmtSearchError):
    """Several problems of one thing, all reported at once.

    Args:
        where: What is wrong as a whole: a file, a schedule's name, a folder.
        problems: One complete sentence each, with place, value, rule and remedy.
    """

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        super().__init__(where, tuple(problems))
        self.where = where
        self.problems: tuple[str, ...] = tuple(problems)

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"{self.where}: {count} problem{'' if count == 1 else 's'}"
        return "\n".join([head, *(f"  {problem}" for problem in self.problems)])


class FileError(DmtSearchError, ValueError):
    """A file that a user named, or that a file names, cannot be read as one.

    Args:
        path: The file.
        reason: What is wrong with it and what to do, as in "x.yaml: is a folder; ...".
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class NodeMismatchError(FileError):
    """Code or files of this machine are not those of the one that made a job: it would do another
    job under its key. Never an answer about the stage: elsewhere it can run.

    Args:
        path: The stage and the machine.
        reason: What differs, and what to do.
    """


class ScheduleError(ProblemsError, ValueError):
    """A schedule or search space cannot run as written. Carries every problem, not the first."""


class ModelError(DmtSearchError, ValueError):
    """A model cannot be built, sized, tapped or loaded as asked."""


class ShapeError(DmtSearchError, ValueError):
    """Two tensors that must agree in shape do not."""


class DataError(DmtSearchError, ValueError):
    """A data set is missing, malformed or cannot be split as asked."""


class DataMissingError(DataError):
    """A data set is known but its files are not on this machine; the text says how to get them."""


class DataChangedError(DataError):
    """The data at hand is not what a search, a stage's key or a run was made for.

    Never an answer about a schedule: with the right data the same stage can run.
    """


class StoreError(DmtSearchError):
    """The store cannot be read or written: read-only, full, altered, unreachable."""


class DamagedError(StoreError):
    """A stored object is truncated, altered or lacks a file; it can be quarantined and made again.

    Args:
        key: The object's key.
        reason: What is wrong with it.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(key, reason)
        self.key, self.reason = key, reason

    def __str__(self) -> str:
        return (
            f"stored object {self.key[:12]} is damaged: {self.reason}; "
            "`dmtsearch store verify --repair` moves it to the quarantine, and it is made again"
        )


class SourceMissingError(StoreError):
    """A stored result that a stage begins with is gone, or damaged; it can be made again.

    Args:
        name: Of the stage that made it.
        key: The object's key.
        reason: What is wrong with it.
    """

    def __init__(self, name: str, key: str, reason: str) -> None:
        super().__init__(name, key, reason)
        self.name, self.key, self.reason = name, key, reason

    def __str__(self) -> str:
        return (
            f"{self.name}: its stored result {self.key[:12]} {self.reason}; a stage that begins "
            "with it cannot run. The same command makes it again"
        )


class WorkerLostError(DmtSearchError):
    """One of the processes that train a stage together is gone, or does not answer the others.

    A fault of the machine, never an answer about the stage.
    """


class SearchStoppedError(DmtSearchError):
    """A fault of the machine stopped a search; its unfinished trials can be resumed.

    No schedule is to blame: no trial has failed because of it.
    """


class BundleError(DmtSearchError):
    """A folder is not a model bundle, is damaged, or holds something else."""


class ExportError(DmtSearchError):
    """A bundle cannot be exported as asked, or the exported file answers otherwise than it."""


class OutputError(DmtSearchError):
    """A folder for results is full, or may not be written; says what is safe and how to go on."""


class UsageError(DmtSearchError):
    """A command or function got a request that it does not serve."""


class DivergedError(DmtSearchError):
    """A loss became NaN or infinite; the same stage would do so again (a deterministic failure).

    Args:
        stage: The stage's name.
        phase: `hint` or `train`.
        epoch: Epoch within the phase, from 1.
        step: Step within the epoch, from 1.
        term: The first loss term that was not finite.
        value: Its value as text (`nan`, `inf`).
    """

    def __init__(
        self, stage: str, phase: str, epoch: int, step: int, term: str, value: str
    ) -> None:
        super().__init__(stage, phase, epoch, step, term, value)
        self.stage, self.phase, self.epoch = stage, phase, epoch
        self.step, self.term, self.value = step, term, value

    def __str__(self) -> str:
        return (
            f"stage {self.stage!r} diverged: its {self.term} loss was {self.value} in epoch "
            f"{self.epoch} of the {self.phase} phase, step {self.step}; lower optimizer.lr"
            # A selector's loss is one term alone.
            + ("" if self.term == "select" else f", or the weight of the {self.term} term")
        )


def nearest(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the closest of `names`, or what there is to choose from."""
    choices = [str(choice) for choice in names]
    close = difflib.get_close_matches(str(name), choices, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    if not choices:
        return ""
    shown = ", ".join(choices[:12]) + (", ..." if len(choices) > 12 else "")
    return f"; known: {shown}"
