"""`dmtsearch schema`."""

from typing import Annotated

import typer

from dmtsearch.cli.terminal import print_json, say

UNITS = """\
s is the severity, from 0 to 1. The range is white minus black: 255 of 8-bit images; of float
data, four standard deviations of the training split around its mean, per channel.
"""


def schema(
    degradations: Annotated[
        bool,
        typer.Option("--degradations", help="What severity means, by kind, as Markdown."),
    ] = False,
) -> None:
    """Print the JSON Schema of schedules and search spaces, for editors.

    With `# yaml-language-server: $schema=dmtsearch.schema.json` as a file's first line an editor
    completes and checks it.

    Example: `dmtsearch schema > dmtsearch.schema.json`
    """
    if degradations:
        from dmtsearch.data.degradations import degradation_table

        say(f"{UNITS}\n{degradation_table()}")
        return
    from dmtsearch.space import json_schema

    print_json(json_schema())
