"""The `search:` block of a space: read, and checked against the holes."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from ..schedule.node import Node, to_node
from ..schedule.problems import Report
from ..schedule.search import SearchSpec
from ..schedule.wording import add_errors
from .template import Template


def read_search(search: Node | None, template: Template, report: Report) -> SearchSpec:
    """Return the block with its defaults; problems go to `report`.

    A space without the block is searched by the defaults.
    """
    if search is None:
        return SearchSpec()
    if not isinstance(search.value, dict):
        report.add(search, f"must be fields ({', '.join(SearchSpec.model_fields)})", search)
        return SearchSpec()
    empty = [name for name, node in search.fields.items() if node.value is None]
    for name in empty:
        report.add(search.fields[name], "is empty; write a value or drop the line")
    search = search.with_fields(dict.fromkeys(empty))
    try:
        spec = SearchSpec.model_validate(search.plain())
    except ValidationError as error:
        add_errors(report, error, Node({"search": search}), under=("search",))
        return SearchSpec()
    _check(search, spec, template, report)
    return spec


def _check(search: Node, spec: SearchSpec, template: Template, report: Report) -> None:
    if spec.pruner is not None and len(spec.objectives) > 1:
        report.add(
            search.fields["pruner"],
            f"a pruner needs a single objective, and there are {len(spec.objectives)}; write "
            "pruner: none",
        )
    if spec.sampler == "grid":
        for hole in template.holes.values():
            if hole.is_continuous:
                at = Node(None, hole.path, hole.line)
                report.add(
                    at,
                    "a grid needs a step here; this hole is continuous",
                )
    constraints = search.get("constraints")
    for name, bound in spec.constraints.items():
        node = (constraints or search).fields[name]
        if bound.min is None and bound.max is None:
            report.add(node, "must have min or max", node)
        elif bound.min is not None and bound.max is not None and bound.min > bound.max:
            report.add(node, f"must have min <= max, got {bound.min:g} > {bound.max:g}")
    if len(set(spec.controls)) < len(spec.controls):
        report.add(search.fields["controls"], "names an arm twice", search.fields["controls"])


def find_starts(search: Node | None, spec: SearchSpec, where: str) -> list[tuple[Node, Path]]:
    """The files of `start_with`, relative to the space's own folder, each with its node."""
    if not spec.start_with:
        return []
    given = search.get("start_with") if search is not None else None
    nodes = given.items if given is not None else to_node(list(spec.start_with)).items
    folder = Path(where).parent if where != "<text>" else Path()
    return [(node, folder / str(node.value)) for node in nodes]
