"""`dmtsearch store ls|verify|explain|gc`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from dmtsearch.cli.common_options import Json
from dmtsearch.cli.terminal import console, print_json, say, table
from dmtsearch.human import byte_size
from dmtsearch.store import Skipped, open_store, place_in_words

app = typer.Typer(no_args_is_help=True, help="Look at, check and tidy kept stages.")

WhichStore = Annotated[
    str | None, typer.Option(help="Which store; else $DMTSEARCH_STORE, else the user's cache.")
]


@app.command("ls")
def list_objects(store: WhichStore = None, json: Json = False) -> None:
    """List finished stages, hint phases and snapshots, and stages that are not finished.

    Example: `dmtsearch store ls`
    """
    opened = open_store(store, read_only=True)
    found = opened.ls()
    if json:
        print_json([asdict(info) for info in found])
        return
    odd = opened.skipped()
    if not found:
        _say_skipped(odd)
        say(f"{opened.where}: nothing is kept yet")
        return
    rows = [
        (
            info.key[:12],
            info.kind,
            "running" if info.running else info.status,
            info.name,
            byte_size(info.size),
            info.created[:16].replace("T", " "),
        )
        for info in found
    ]
    console().print(
        table(("key", "kind", "status", "name", "size", "since, UTC"), rows, numbers=("size",))
    )
    _say_skipped(odd)
    say(f"{opened.where}: {len(found)} objects, {byte_size(sum(info.size for info in found))}")


@app.command()
def verify(
    store: WhichStore = None,
    repair: Annotated[
        bool,
        typer.Option(help="Move damaged objects into quarantine, so that they are trained again."),
    ] = False,
    json: Json = False,
) -> None:
    """Read every byte and compare it with what was committed. Exit 1 where something is damaged.

    Example: `dmtsearch store verify --repair`
    """
    opened = open_store(store, read_only=not repair)
    report = opened.verify(repair=repair)
    if json:
        print_json({"ok": report.ok, **asdict(report)})
    else:
        say(f"{opened.where}: {report.whole} objects are whole, {len(report.damaged)} are damaged")
        for damaged in report.damaged:
            say(f"  {damaged.key[:12]}: {damaged.reason}")
        for place in report.set_aside:
            say(f"  moved to {place}")
        _say_skipped(report.skipped)
        if report.leftovers:
            spare = byte_size(sum(leftover.size for leftover in report.leftovers))
            say(f"{len(report.leftovers)} leftovers, {spare}; dmtsearch store gc removes old ones")
        if not report.ok:
            say("Next: dmtsearch store verify --repair")
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def explain(
    a: Annotated[str, typer.Argument(help="A key, or its first 6 characters or more.")],
    b: Annotated[str, typer.Argument(help="Another.")],
    store: WhichStore = None,
    json: Json = False,
) -> None:
    """Show why two keys differ: every place in which what they are made of differs.

    Example: `dmtsearch store explain 3fa9c1 77b0d2`
    """
    found = open_store(store, read_only=True).explain(a, b)
    if json:
        print_json([asdict(difference) for difference in found])
        return
    if not found:
        say("no difference: both are one object")
        return
    rows = [(one.path, one.left or "-", one.right or "-") for one in found]
    console().print(table(("where", a, b), rows, numbers=()))
    words = dict.fromkeys(word for one in found if (word := place_in_words(one.path)) is not None)
    if words:
        say(f"What differs: {'; '.join(words)}.")


@app.command()
def gc(
    store: WhichStore = None,
    older_than: Annotated[
        float | None,
        typer.Option(min=0, metavar="DAYS", help="Objects unused for so many days go too."),
    ] = None,
    max_size: Annotated[
        float | None,
        typer.Option(min=0, metavar="GB", help="The least used go until this much is left."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Only say what would go.")] = False,
    json: Json = False,
) -> None:
    """Remove what killed processes left behind and, if asked, objects that nobody uses.

    Nothing goes that a live process works on.

    Example: `dmtsearch store gc --older-than 90 --dry-run`
    """
    opened = open_store(store)
    report = opened.gc(
        older_than_s=None if older_than is None else older_than * 86400,
        max_bytes=None if max_size is None else int(max_size * 1e9),
        dry_run=dry_run,
    )
    if json:
        print_json({**asdict(report), "freed_bytes": report.freed_bytes})
        return
    for removed in report.removed:
        say(f"  {removed.what:11s} {byte_size(removed.size):>10s}  {removed.path}")
    _say_skipped(report.skipped)
    verb = "would free" if dry_run else "freed"
    say(
        f"{opened.where}: {verb} {byte_size(report.freed_bytes)}; {report.kept} objects stay, "
        f"{byte_size(report.kept_bytes)}"
    )


def _say_skipped(odd: Sequence[Skipped]) -> None:
    for item in odd:
        say(f"  passed over: {item.path}: {item.reason}")
