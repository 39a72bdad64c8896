"""What `dmtsearch evaluate` says of a selector."""

from collections.abc import Mapping
from typing import Any

from dmtsearch.cli.terminal import console, say, say_missing, table
from dmtsearch.human import percent

COLUMNS = ("method", "trained kinds", "nothing degraded", "other kinds", "right one selected")


def say_selector(found: Mapping[str, Any]) -> None:
    """Print a selector beside every fusion rule: accuracy on groups of conditions."""
    say(
        f"selection {percent(found['selection_accuracy'])} (an undegraded modality selected, one "
        "being degraded)"
    )
    say(f"regret    {percent(found['regret'])} below the oracle selector")
    say("Accuracies are means over kind x severity x degraded modality, each of one weight:")
    rows = [
        (
            name,
            percent(method["accuracy"]),
            percent(method["clean"]["accuracy"]),
            percent(method["unseen"]["accuracy"] if method["unseen"] else None),
            percent(method["decisive_accuracy"]),
        )
        for name, method in found["methods"].items()
    ]
    console().print(table(COLUMNS, rows, numbers=COLUMNS[1:]))
    say_missing(found["missing"])
