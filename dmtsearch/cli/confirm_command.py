"""`dmtsearch confirm`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dmtsearch.cli.common_options import Json
from dmtsearch.cli.search_command import (
    BACKENDS,
    Address,
    Backend,
    Concurrency,
    RunFolder,
    options_of,
)
from dmtsearch.cli.terminal import console, print_json, say, say_command, table
from dmtsearch.errors import UsageError
from dmtsearch.human import percent, points

if TYPE_CHECKING:
    from dmtsearch.engine.confirm import Confirmed
    from dmtsearch.engine.confirm_request import ConfirmRequest


def confirm(
    run: RunFolder,
    top: Annotated[
        int | None,
        typer.Option(
            help="Trials among which one is chosen, by val on seeds of their own; 3 unless given."
        ),
    ] = None,
    looks: Annotated[
        str | None, typer.Option(help="Replicates at each look; 5,8,12,16 unless given.")
    ] = None,
    more: Annotated[
        bool, typer.Option("--more", help="Look further than the plan that has ended.")
    ] = False,
    trial: Annotated[
        int | None, typer.Option(help="Test this trial; none is chosen then.")
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Explain only this dimension. Repeat it."),
    ] = None,
    no_explain: Annotated[
        bool, typer.Option("--no-explain", help="Train no variants of the chosen schedule.")
    ] = False,
    students: Annotated[
        int | None,
        typer.Option(
            help="Students of each arm for one first model, where that is dear; 1 unless given."
        ),
    ] = None,
    address: Address = None,
    concurrency: Concurrency = None,
    store: Annotated[
        str | None,
        typer.Option(help="Where finished stages lie now; else where they lay before."),
    ] = None,
    backend: Annotated[Backend | None, typer.Option(help=f"{BACKENDS}; else as before.")] = None,
    json: Json = False,
) -> None:
    """Retrain a run's best schedule and its controls on fresh seeds, and give a verdict.

    The plan is written down first; Ctrl-C once stops cleanly, and the same command goes on.

    Example: `dmtsearch confirm runs/first --looks 5,8 --no-explain`
    """
    from dmtsearch.engine.confirm import confirm as run_confirm
    from dmtsearch.engine.confirm_request import ConfirmRequest

    request = ConfirmRequest(top, _numbers(looks), more, trial, vary, not no_explain, students)
    options = options_of(None, None, address, concurrency, backend)
    done = run_confirm(run, request, options, store=store)
    if json and not done.stopped:
        print_json(dict(done.found))
        return
    end(done, run, request)


def end(done: "Confirmed", run: Path, request: "ConfirmRequest", *, advise: bool = True) -> None:
    """Show what came out and, unless something follows by itself, what to do next."""
    if done.stopped:
        say(f"Stopped; everything so far is kept in {run}.")
        say_command("Go on with: ", "confirm", run, *request.options)
        raise typer.Exit(130)
    _show(done.found)
    say()
    say(done.answer or "")
    say(f"Wrote {run}/confirm.json and {run}/recommended.yaml ({done.found['recommended']}).")
    if advise:
        say_command("Next: ", "report", run)
        say_command("      ", "train", run, "--out", f"out/{run.name}")


def _numbers(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--looks {text}: write numbers of replicates with commas between, like 5,8,12,16"
        ) from None


def _show(found: Mapping[str, Any]) -> None:
    share = f"{100 * found['confidence']:.1f} % interval"
    chosen = found["chosen"]
    rows = [("chosen", percent(chosen["accuracy"]), "", "", "", "")]
    for one in found["controls"]:
        low, high = (points(end).removesuffix(" points") for end in one["interval"])
        rows.append(
            (
                one["arm"],
                percent(one["accuracy"]),
                points(one["difference"]).removesuffix(" points"),
                f"{low} to {high}",
                f"{one['p']:.4f}" if one["p"] >= 0.0001 else "< 0.0001",
                one["verdict"],
            )
        )
    heads = ("arm", "test accuracy", "chosen minus it, points", share, "p", "verdict")
    say()
    console().print(table(heads, rows, numbers=heads[1:5]))
    seeds = "fresh seeds" if found["students"] == 1 else "fresh first models"
    say(f"n = {found['n']} {seeds}, {found['test_n']:,} test samples")
