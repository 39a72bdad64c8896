"""`dmtsearch schema`."""

from dmtsearch.cli.output import print_json


def schema() -> None:
    """Print the JSON Schema of schedules and search spaces, for editors.

    Example: `dmtsearch schema > dmtsearch.schema.json`, then
    `# yaml-language-server: $schema=dmtsearch.schema.json` as a file's first line.
    """
    from dmtsearch.schedule import json_schema

    print_json(json_schema())
