"""`dmtsearch cluster check`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dmtsearch.cli.common_options import Json, StageStore
from dmtsearch.cli.search_command import Address
from dmtsearch.cli.terminal import console, print_json, refuse, say, say_command, table
from dmtsearch.errors import ProblemsError
from dmtsearch.human import byte_size, counted

if TYPE_CHECKING:
    from dmtsearch.engine.cluster_check import ClusterCheck, NodeCheck

app = typer.Typer(no_args_is_help=True, help="Look at a Ray cluster before a search.")


@app.callback()
def cluster() -> None:
    """Look at a Ray cluster before a search."""


@app.command()
def check(
    space: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="A search space, or a schedule."),
    ] = None,
    address: Address = None,
    store: StageStore = None,
    json: Json = False,
) -> None:
    """Say whether a search could run on a cluster, and what it would use. Trains nothing.

    Asks every node for its versions, and for the space's data; writes a small file into the store
    and lets every node read it. Exit 1 where something would stop a search.

    Example: `dmtsearch cluster check search_spaces/demo.yaml`
    """
    from dmtsearch.engine.cluster_check import check_cluster

    found = check_cluster(space, address=address, store=store)
    if json:
        print_json(found.as_dict())
    else:
        _print(found)
        if found.ok:
            _print_next(found, space, address, store)
        else:
            refuse(ProblemsError(_title(found), found.problems))
    if not found.ok:
        raise typer.Exit(1)


def _title(found: "ClusterCheck") -> str:
    return "this machine" if found.address == "local" else f"the cluster at {found.address}"


def _print(found: "ClusterCheck") -> None:
    from dmtsearch.engine.cluster_check import version_line

    cpus, gpus = (sum(getattr(node, name) for node in found.nodes) for name in ("cpu", "gpu"))
    title = _title(found)
    say(
        f"{title[0].upper()}{title[1:]}: {counted(len(found.nodes), 'node')}, "
        f"{counted(int(cpus), 'CPU')}, {counted(int(gpus), 'GPU')}"
    )
    if found.address == "local":
        say("          No --address and no RAY_ADDRESS: a search would start a private Ray here.")
        say("          For a cluster, on one of its machines: --address auto, or HEAD:6379.")
    say(f"versions  {version_line(found.nodes)}")
    if found.store is not None:
        time = "" if found.store_s is None else f"; {_milliseconds(found.store_s)} from here"
        say(f"store     {found.store}: written, read and removed{time}")
    if found.data is not None:
        say(f"data      fingerprint {found.data[:12]} here")
    say()
    columns = ["node", "CPUs", "GPUs", "memory", "store"]
    columns += ["data"] if found.data is not None else []
    rows = [_node_row(node, found.data)[: len(columns)] for node in found.nodes]
    console().print(table(columns, rows, numbers=("CPUs", "GPUs", "memory", "store")))
    labels = Counter(label for node in found.nodes for label in node.labels)
    for label, count in labels.items():
        say(f"label     {label}: {counted(count, 'node')}")
    if found.stages:
        say()
        stages = [
            (
                stage.name,
                stage.requests,
                f"{len(stage.nodes)} of {len(found.nodes)}" if stage.nodes else "none",
                str(stage.at_once),
            )
            for stage in found.stages
        ]
        columns = ["stage", "requests", "nodes that could run it", "fit at once"]
        console().print(table(columns, stages, numbers=("fit at once",)))
        say()
        say(f"at once   {counted(found.trials_at_once or 0, 'trial')}")
    for part in found.idle:
        say(f"idle      {part}")
    for note in found.notes:
        say(f"note      {note}")


def _node_row(node: "NodeCheck", data: str | None) -> tuple[str, ...]:
    return (
        f"{node.name} (head)" if node.head else node.name,
        f"{node.cpu:g}",
        f"{node.gpu:g}",
        byte_size(node.memory),
        "no" if node.store_s is None else _milliseconds(node.store_s),
        "no" if node.data is None else "the same" if node.data == data else node.data[:12],
    )


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000)):,} ms"


def _print_next(
    found: "ClusterCheck", space: Path | None, address: str | None, store: str | None
) -> None:
    say()
    if space is None:
        say("With a search space it also says which stages would run where.")
        return
    say("A search could begin.")
    given = [*(("--address", address) if address else ()), *(("--store", store) if store else ())]
    say_command("Next: ", "search", space, *given, "--out", f"runs/{space.stem}")
