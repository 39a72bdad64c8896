"""What a user says of a search each time that it is begun or resumed."""

from dataclasses import dataclass

from ..errors import UsageError
from ..human import seconds_of
from .environment import INLINE, RAY
from .loggers import check_loggers
from .status import SearchView


@dataclass(frozen=True)
class DriverOptions:
    """Options of `search` and `resume` alike; those of `resume` are as they were where None.

    Attributes:
        trials: Search trials in all.
        time_budget: Nothing is proposed after so long: seconds, or `30m`, `2h`.
        address: Of a Ray cluster: `auto`, or host:port; else $RAY_ADDRESS, else a Ray of this
            machine's own.
        concurrency: Trials at once; twice as many as stages fit, if None.
        backend: `ray` or `inline`.
        view: Shows how it goes; lines on standard output if None.
        command: What the ledger says that began it.
        leave: End the process where a stop takes too long: only for commands.
        log: Names of loggers that get each trial (see `dmtsearch.engine.loggers`).

    Raises:
        UsageError: A value cannot be.
    """

    trials: int | None = None
    time_budget: str | float | None = None
    address: str | None = None
    concurrency: int | None = None
    backend: str | None = None
    view: SearchView | None = None
    command: str | None = None
    leave: bool = False
    log: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in (("trials", self.trials), ("concurrency", self.concurrency)):
            if value is not None and value < 1:
                raise UsageError(f"{name} must be at least 1, got {value}")
        if self.backend not in (None, RAY, INLINE):
            raise UsageError(
                f"no backend is called {self.backend!r}: there are {RAY!r} and {INLINE!r}"
            )
        seconds_of(self.time_budget)
        check_loggers(self.log)

    @property
    def time_budget_s(self) -> float | None:
        """In seconds; None for no limit."""
        return seconds_of(self.time_budget)

    def refuse_options_of_ray(self, backend: str) -> None:
        """Refuse what only Ray can do where the search runs without it.

        Raises:
            UsageError: Names the options.
        """
        given = {"--address": self.address, "--concurrency": self.concurrency}
        found = [name for name, value in given.items() if value is not None]
        if backend == INLINE and found:
            raise UsageError(
                f"{' and '.join(found)} cannot be given with the backend {INLINE!r}, which runs "
                f"one stage at a time in this process: leave {'them' if len(found) > 1 else 'it'} "
                f"out, or take the backend {RAY!r}"
            )
