"""A stage with its `defaults`: merged field by field, lists whole, idle inheritance left out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .forms import (
    MERIT_FIELDS,
    MODEL_FORMS,
    NEED_SOURCE,
    NOT_IN_DEFAULTS,
    NOT_IN_SELECT,
    OPTIMIZER_FIELDS,
    SELECT_ONLY,
    SIZINGS,
    SOFT_FIELDS,
    STEP_FIELDS,
    SWITCH_FIELDS,
    model_fields,
    model_form,
    soft_form,
)
from .node import Node

_BLOCKS = (*("model", "optimizer", "soft", "hard", "merit", "hint_phase", "switch", "resources"),)
# Blocks within a model; `size` is none, as {params} and {at, between} are no halves of each other.
_MODEL_BLOCKS = ("args", "input")
_OF_THE_MODEL = ("args", "weights", "version")


@dataclass(frozen=True)
class Source:
    """A stage that another names as a source, and where it does so."""

    stage: str
    epoch: int | None
    node: Node


@dataclass(frozen=True)
class Merged:
    """A stage with what it inherits.

    Attributes:
        name: The stage's name.
        node: All its fields; an inherited node's path begins with `defaults`.
        broken: Fields that are not valid by themselves; nothing is concluded from them.
    """

    name: str
    node: Node
    broken: frozenset[str] = frozenset()

    def get(self, *names: str) -> Node | None:
        """The node of a field, or None."""
        return self.node.get(*names)

    def value(self, *names: str, default: Any = None) -> Any:
        """The plain value of a field, or `default`."""
        node = self.node.get(*names)
        return default if node is None else node.plain()

    def written(self, *names: str) -> Node | None:
        """The node of a field that stands in the stage itself; None where it is inherited."""
        node = self.node.get(*names)
        return node if node is not None and not is_inherited(node) else None

    def block(self, name: str) -> Node | None:
        """A block that is switched on: given, and not `none`."""
        node = self.node.get(name)
        return node if node is not None and isinstance(node.value, dict) else None

    @property
    def is_select(self) -> bool:
        return "select" in self.node.fields

    @property
    def sources(self) -> list[Source]:
        """The sources as named, `all` as one of them; empty for `none`."""
        return read_sources(self.node.get("source"))

    @property
    def hints(self) -> list[Node]:
        node = self.node.get("hints")
        return node.items if node is not None else []


def read_sources(node: Node | None) -> list[Source]:
    """The sources that a `source` field names; what is not well-formed is left out."""
    if node is None or node.value == "none":
        return []
    found = []
    for item in node.items if isinstance(node.value, list) else [node]:
        name, epoch = item.get("stage") or item, item.get("epoch")
        number = epoch.value if epoch is not None else None
        if isinstance(name.value, str):
            found.append(Source(name.value, number if isinstance(number, int) else None, name))
    return found


def is_inherited(node: Node) -> bool:
    """Whether a node of a merged stage comes from `defaults`."""
    return node.path == "defaults" or node.path.startswith("defaults.")


def merge_stage(name: str, own: Node, defaults: Node | None, broken: Iterable[str] = ()) -> Merged:
    """Return the stage `own` with what it inherits of `defaults`.

    A block is merged field by field, everything else is taken whole. Inherited fields that have
    no effect in this stage are left out: another optimizer's own fields, another form's model
    fields, `soft`, `merit` and `hints` without a source.
    """
    base = defaults if defaults is not None else Node({})
    fields = {field: node for field, node in base.fields.items() if field not in NOT_IN_DEFAULTS}
    for field, node in own.fields.items():
        theirs = fields.get(field)
        if field == "model" and theirs is not None:
            fields[field] = _merge_model(theirs, node)
        elif field in _BLOCKS and theirs is not None:
            fields[field] = _merge_block(theirs, node)
        else:
            fields[field] = node
    merged = Merged(name, own.with_fields(dict(fields)), frozenset(broken))
    return Merged(name, _without_idle(merged), merged.broken)


def _merge_block(theirs: Node, own: Node) -> Node:
    """Field by field where both are blocks; else the stage's own."""
    if not _both_blocks(theirs, own):
        return own
    return own.with_fields({**theirs.fields, **own.fields})


def _both_blocks(theirs: Node, own: Node) -> bool:
    return isinstance(theirs.value, dict) and isinstance(own.value, dict)


def _merge_model(theirs: Node, own: Node) -> Node:
    if not _both_blocks(theirs, own):
        return own
    inherited = dict(theirs.fields)
    own_form = [form for form in MODEL_FORMS if form in own.fields]
    if own_form and model_form(own.fields) != model_form(theirs.fields):
        # Another model: arguments and weights of the old one mean nothing to it.
        for field in (*MODEL_FORMS, *_OF_THE_MODEL):
            inherited.pop(field, None)
    fields = {**inherited, **own.fields}
    for name in _MODEL_BLOCKS:
        if name in inherited and name in own.fields:
            fields[name] = _merge_block(inherited[name], own.fields[name])
    form = model_form(fields)
    valid = model_fields(form)
    if form is not None and valid is not None:
        fields = {k: v for k, v in fields.items() if k in own.fields or k in valid}
        if form[0] == "family":
            _drop_other_sizings(fields, own, SIZINGS.get(form[1], ()))
    return own.with_fields({**dict.fromkeys(own.fields), **fields})


def _drop_other_sizings(fields: dict[str, Node], own: Node, ways: Sequence[str]) -> None:
    """A width said in the stage replaces an inherited one that is said in another way."""
    said = [way for way in ways if way in own.fields]
    for other in (*ways, "blocks") if "widths" in said else ways:
        if said and other not in own.fields:
            fields.pop(other, None)


def _without_idle(stage: Merged) -> Node:
    """The stage's node without inherited fields that have no effect in it."""
    idle: set[tuple[str, ...]] = set()
    if stage.is_select:
        idle |= {(field,) for field in NOT_IN_SELECT}
    else:
        idle |= {(field,) for field in SELECT_ONLY}
        if not stage.sources and "source" not in stage.broken:
            idle |= {(field,) for field in NEED_SOURCE}
    if not stage.hints:
        idle.add(("hint_phase",))
    idle |= {(*("soft", field),) for field in ("combine", "drop") if _one_source(stage)}
    if stage.value("inputs", default="topk") != "topk":
        idle.add(("k",))
    soft = stage.get("soft")
    if soft is not None and soft.value == "none":
        idle.add(("merit",))
    for block, key, default, table in (
        ("optimizer", "name", "adamw", OPTIMIZER_FIELDS),
        ("soft", "loss", "kl", SOFT_FIELDS),
        ("merit", "rule", None, MERIT_FIELDS),
        ("switch", "when", "epochs", SWITCH_FIELDS),
    ):
        idle |= _not_of_form(stage, block, key, default, table)
    node = stage.node
    for path in idle:
        node = _drop_inherited(node, path)
    return node


def _one_source(stage: Merged) -> bool:
    sources = stage.sources
    return len(sources) == 1 and sources[0].stage != "all"


def _not_of_form(
    stage: Merged, block: str, key: str, default: str | None, table: Mapping[str, tuple[str, ...]]
) -> set[tuple[str, ...]]:
    node = stage.block(block)
    if node is None:
        return set()
    form = stage.value(block, key, default=default)
    if block == "soft":
        form = soft_form(form)
    # A list or block in the place of a name is a problem of its own, reported elsewhere.
    valid = set(table.get(form if isinstance(form, str) else "", tuple(node.fields)))
    if block == "optimizer" and stage.value(block, "schedule", default="one_cycle") == "step":
        valid |= set(STEP_FIELDS)
    return {(block, field) for field in node.fields if field not in valid}


def _drop_inherited(node: Node, path: tuple[str, ...]) -> Node:
    below = node.get(path[0])
    if below is None:
        return node
    if len(path) > 1:
        return node.with_fields({path[0]: _drop_inherited(below, path[1:])})
    return node.with_fields({path[0]: None}) if is_inherited(below) else node
