"""`dmtsearch train`."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from dmtsearch import api
from dmtsearch.cli.common_options import Device, Settings, StageStore, read_settings
from dmtsearch.cli.terminal import console, say, say_command, table
from dmtsearch.human import amount, duration, percent


def train(
    schedule: Annotated[
        Path,
        typer.Argument(
            exists=True, metavar="SCHEDULE|RUN", help="A schedule, or a run: what it recommends."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder of the model bundle: new, empty, or this schedule's.")
    ],
    seed: Annotated[int | None, typer.Option(help="In place of the schedule's own.")] = None,
    set: Settings = None,
    store: StageStore = None,
    device: Device = None,
) -> None:
    """Train one schedule, stage by stage, and write the delivered model.

    Stages that the store has are reused. After Ctrl-C, or a kill at any moment, the same command
    goes on and gives the same bytes.

    Example: `dmtsearch train search_spaces/digits_chain.yaml --out out/digits`
    """
    from dmtsearch.cli.train_view import make_view

    view = make_view(schedule)
    with _stopping_on_interrupt(view.stop), view:
        training = api.train(
            schedule,
            out,
            seed=seed,
            set=read_settings(set),
            store=store,
            device=device,
            watch=view.watch,
        )
    if training.stopped is not None:
        say(f"Stopped in stage {training.stopped}; everything so far is kept.")
        say("Go on with the same command.")
        raise typer.Exit(130)
    say()
    console().print(
        table(
            ("stage", "params", "MACs", "val accuracy", "n", "epochs", "time", ""),
            [
                (
                    stage.name,
                    f"{stage.record['params']:,}",
                    amount(stage.record["macs"]),
                    percent(stage.record["metrics"]["val"]["accuracy"]),
                    f"{stage.record['metrics']['val']['n']:,}",
                    str(stage.record["hint_epochs"] + stage.record["epochs"]),
                    duration(stage.record["seconds"] + stage.record["hint_seconds"]),
                    "reused" if stage.reused else "hints reused" if stage.hints_reused else "",
                )
                for stage in training.stages
            ],
            numbers=("params", "MACs", "val accuracy", "n", "epochs", "time"),
        )
    )
    say(f"Wrote {out}: the model of stage {training.deliver}.")
    say_command("Next: ", "evaluate", out)


@contextmanager
def _stopping_on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C stops at the end of the epoch, with a checkpoint; the second at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        stop()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
