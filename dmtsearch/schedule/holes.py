"""What a hole looks like, so that a schedule can say that it has some."""

from collections.abc import Iterator

from .node import Node

HOLE_KINDS = ("choice", "int", "float", "log")
_FREE = ("args",)  # blocks whose fields are somebody else's


def is_hole(node: Node) -> bool:
    """Whether a mapping is a hole, well-formed or not: it has one of the words of holes."""
    return any(kind in node.fields for kind in HOLE_KINDS)


def is_exact_hole(node: Node) -> bool:
    """Whether a mapping can be nothing but a hole: one such word, with a list or mapping."""
    kinds = [field for field in node.fields if field in HOLE_KINDS]
    rest = set(node.fields) - set(kinds) - {"as"}
    return len(kinds) == 1 and not rest and not isinstance(node.fields[kinds[0]].value, str | int)


def find_holes(document: Node) -> Iterator[Node]:
    """The outermost holes of a document, in its order.

    Stages are never an alternative of each other, so `stages` itself is no hole. Within `args`
    only what is exactly a hole counts, since a function may have an argument called `log`.
    """
    for name, node in document.fields.items():
        if name == "search":
            continue
        if name == "stages":
            for stage in node.fields.values():
                yield from _below(stage, False)
        else:
            yield from _below(node, False)


def _below(node: Node, free: bool) -> Iterator[Node]:
    if is_exact_hole(node) if free else is_hole(node):
        yield node
        return
    for name, below in node.fields.items():
        yield from _below(below, free or name in _FREE)
    for below in node.items:
        yield from _below(below, free)
