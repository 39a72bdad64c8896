"""`dmtsearch evaluate`."""

from typing import Annotated

import typer

from dmtsearch import api
from dmtsearch.cli.common_options import BundleFolder, Device, Json
from dmtsearch.cli.selector_table import say_selector
from dmtsearch.cli.terminal import print_json, say, say_command
from dmtsearch.human import percent


def evaluate(
    folder: BundleFolder,
    data: Annotated[
        str | None,
        typer.Option(
            help="Other data: a folder of images by class, a table, or package.module:function."
        ),
    ] = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Score a model bundle on its sealed test split, or on other data.

    Each opening of the test split is written down in DIR/openings.jsonl.

    Example: `dmtsearch evaluate out/digits`
    """
    found = api.evaluate(folder, data=data, device=device)
    if json:
        print_json(found.as_dict())
        return
    metrics = found.metrics
    say(f"{folder}: {found.split}, n = {metrics.n:,}")
    say(f"accuracy  {percent(metrics.accuracy)}")
    say(f"NLL       {metrics.nll:.4f} nats")
    say(f"ECE       {percent(metrics.ece)} (15 bins)")
    if found.selector:
        say_selector(found.selector)
    for note in found.notes:
        say(f"note      {note}")
    if found.openings:
        times = "time" if found.openings == 1 else "times"
        say(f"The test split of this bundle has been opened {found.openings} {times}.")
    say_command("Next: ", "export", folder)
