"""`dmtsearch check`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dmtsearch import api
from dmtsearch.cli.common_options import Json, NoTime, Settings, read_settings
from dmtsearch.cli.plan_command import print_price
from dmtsearch.cli.terminal import (
    console,
    print_json,
    refuse,
    say,
    say_command,
    say_missing,
    table,
)
from dmtsearch.errors import ScheduleError
from dmtsearch.human import amount, hours_text


def check(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A schedule or a search space.")
    ],
    set: Settings = None,
    json: Json = False,
    store: Annotated[
        str | None, typer.Option(help="Store whose finished stages are looked up.")
    ] = None,
    no_time: NoTime = False,
) -> None:
    """Say everything about FILE before a second of training. Trains nothing.

    A few steps are timed, for at most 5 seconds, to say how many hours it takes here.

    Example: `dmtsearch check search_spaces/fashion_mnist_chain.yaml`
    """
    report = api.check(file, store=store, set=read_settings(set), time=not no_time)
    if json:
        print_json(report.as_dict())
    elif report.ok:
        _print(file, report, [word for pair in set or [] for word in ("--set", pair)])
    else:
        refuse(ScheduleError(str(file), report.problems))
    if not report.ok:
        raise typer.Exit(1)


def _print(file: Path, report: api.CheckReport, given: Sequence[str]) -> None:
    found = report.schedule
    assert found is not None, "a report that is ok has a schedule"
    out = console()
    say(f"{file}: ok")
    say(f"data      {found.data}")
    say(f"delivers  {found.deliver}")
    say(f"cost      {_cost(found.cost, report.hours)} for the whole path")
    if found.given != found.cost:
        say(f"          {_cost(found.given, None)} where the first model is given")
    say()
    out.print(
        table(
            ("stage", "learns from", "model", "params", "MACs", "epochs", "cost", "in the store"),
            [_row(stage) for stage in found.stages],
            numbers=("params", "MACs", "epochs", "cost"),
        )
    )
    for stage in found.stages:
        for hint in stage.hints:
            say(
                f"hint      {hint['source']} {_shape(hint['source_shape'])} to "
                f"{stage.name}.{hint['at']} {_shape(hint['at_shape'])}: {hint['adapter']}"
            )
    for line in _devices(found.stages):
        say(f"trains on {line}")
    if report.holes:
        say()
        out.print(
            table(
                ("hole", "kind", "values", "when"),
                [_hole_row(hole) for hole in report.holes],
                numbers=(),
            )
        )
    if report.equal_cost is not None:
        _print_equal_cost(report.equal_cost)
    if report.plan is not None:
        say()
        print_price(report.plan)
    for note in report.notes:
        say(f"note      {note}")
    say()
    if report.holes:
        say("The table shows the middle of each range and the first of each choice.")
        say_command("Next: ", "search", file, "--out", f"runs/{file.stem}", *given)
    else:
        say_command("Next: ", "train", file, "--out", f"out/{file.stem}", *given)


def _devices(stages: Sequence[Any]) -> list[str]:
    """Which stages get a GPU, here and on a cluster that has some: a line for each answer."""
    groups: dict[str, list[Any]] = {}
    for stage in stages:
        if stage.gpu == 0:
            words = "the CPU, as written"
        elif stage.gpu == "auto" and stage.device == "cpu":
            words = "the CPU here, a share of a GPU where a cluster has one"
        elif stage.gpu == "auto":
            words = "a share of a GPU"
        else:
            lacking = ", which this machine has not" if stage.device == "cpu" else ""
            words = f"{stage.gpu:g} GPU, as written{lacking}"
        groups.setdefault(words, []).append(stage)
    return [f"{words}: {', '.join(map(_with_memory, there))}" for words, there in groups.items()]


def _with_memory(stage: Any) -> str:
    """A stage's name, with what it would take of a GPU's memory where that decides its share."""
    if stage.gpu != "auto":
        return str(stage.name)
    return f"{stage.name} (about {stage.gpu_bytes / 1e9:.1f} GB)"


def _print_equal_cost(equal: Any) -> None:
    """The cost that all trials and control arms share, and what it makes of each arm."""
    say()
    say(f"equal cost  {amount(equal.cost)} sample-MACs for every trial and control arm")
    rows = []
    for arm in equal.arms:
        name = "the anchor" if arm.arm == "search" else arm.arm
        rows.append(
            (name, _epochs(arm), amount(arm.cost), hours_text(arm.hours))
            if arm.missing is None
            else (name, "does not run", "", "")
        )
    columns = ("arm", "epochs of the delivered stage", "cost", "time here")
    console().print(table(columns, rows, numbers=("cost", "time here")))
    say_missing({arm.arm: arm.missing for arm in equal.arms if arm.missing is not None})


def _row(stage: Any) -> tuple[str, ...]:
    source = stage.source
    names = (
        "labels" if source is None else source if isinstance(source, str) else ", ".join(source)
    )
    epochs = _epochs(stage)
    kept = {True: "yes", False: "no", None: "?"}[stage.shared]
    return (
        stage.name,
        names,
        stage.model,
        f"{stage.params:,}",
        amount(stage.macs),
        epochs,
        amount(stage.cost),
        kept,
    )


def _cost(cost: int | None, hours: float | None) -> str:
    """Sample-MACs, with the time that they take here where it is known."""
    time = "" if hours is None else f", {hours_text(hours)} here,"
    return f"{amount(cost)} sample-MACs{time}"


def _epochs(stage: Any) -> str:
    """Of the hint phase, where there is one, and of the training after it."""
    return f"{stage.hint_epochs} + {stage.epochs}" if stage.hint_epochs else str(stage.epochs)


def _shape(sides: list[int]) -> str:
    return "[" + ", ".join(str(side) for side in sides) + "]"


def _hole_row(hole: dict[str, Any]) -> tuple[str, ...]:
    return (hole["name"], hole["kind"], str(hole["values"]), str(hole.get("when") or ""))
