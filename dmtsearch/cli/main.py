"""The `dmtsearch` command. Parse, call one function, print."""

import errno
import faulthandler
import os
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dmtsearch.cli import (
    check_command,
    cluster_command,
    confirm_command,
    demo_command,
    evaluate_command,
    export_command,
    init_command,
    plan_command,
    report_command,
    schema_command,
    search_command,
    store_command,
    train_command,
)
from dmtsearch.cli.terminal import refuse, say
from dmtsearch.errors import DmtSearchError, OutputError
from dmtsearch.files import CLOSED, FULL, describe


class _Commands(TyperGroup):
    """Ends any command at a Ctrl-C, with what that says of what is kept."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            if stop.args:
                say(str(stop))
            raise typer.Exit(130) from stop


app = typer.Typer(
    name="dmtsearch",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Find the best way to train a small network through bigger ones.",
)
app.command("demo")(demo_command.demo)
app.command("init")(init_command.init)
app.command("check")(check_command.check)
app.command("plan")(plan_command.plan)
app.command("search")(search_command.search)
app.command("resume")(search_command.resume)
app.command("status")(search_command.status)
app.command("confirm")(confirm_command.confirm)
app.command("train")(train_command.train)
app.command("evaluate")(evaluate_command.evaluate)
app.command("export")(export_command.export)
app.command("report")(report_command.report)
app.command("schema")(schema_command.schema)
app.add_typer(cluster_command.app, name="cluster")
app.add_typer(store_command.app, name="store")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"dmtsearch {version('dmtsearch')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Find the best way to train a small network through bigger ones."""


def main() -> None:
    """Run the command line; the one place where an error becomes an exit code.

    Exit 1: refused, with reasons. Exit 2: wrong usage. Exit 130: interrupted.
    """
    if not faulthandler.is_enabled():
        with suppress(OSError, ValueError):  # no standard error
            faulthandler.enable(all_threads=False)  # a crash in a user's factory has a place
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except DmtSearchError as error:
        refuse(error)
        sys.exit(1)
    except OSError as error:
        _refuse_disk(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _refuse_disk(error: OSError) -> None:
    """Say in one sentence that a disk is full or closed; any other OSError is a fault of ours."""
    if error.errno not in FULL | CLOSED | {errno.EPIPE, errno.EIO}:
        raise error
    try:
        sys.stdout.flush()
    except OSError:
        # What could not be printed would be tried again, and fail again, as the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno != errno.EPIPE:  # the reader of a pipe has left: nobody reads on
        place = error.filename or "standard output"
        again = "give the same command again"
        refuse(OutputError(describe(place, error, "what was written before is whole", again)))
