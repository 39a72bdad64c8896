"""A stage with its `defaults`, as plain data: merged field by field, lists whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from .blocks import FORMS, HINT_LOSSES, OF_OWN_HINT_LOSSES, STEP_FIELDS, Optimizer
from .model import MODEL_FORMS, model_class, model_form, owners
from .places import Lines, Path, get, without
from .problems import either
from .stage import NOT_IN_DEFAULTS, NOT_IN_SELECT, SELECT_ONLY, Select
from .values import field_names, is_own

_BLOCKS = (*("model", "optimizer", "soft", "hard", "merit", "hint_phase", "switch", "resources"),)
# Blocks within a model; `size` is none, as {params} and {at, between} are no halves of each other.
_MODEL_BLOCKS = ("args", "input")
_OF_THE_MODEL = ("args", "weights", "version", "untrained")
NEED_SOURCE = ("soft", "merit", "hints", "hint_phase")


class Source(NamedTuple):
    """A stage that another names as a source, and where in the stage it does so."""

    stage: str
    epoch: int | None
    path: Path


def read_sources(value: Any) -> list[Source]:
    """The sources that a `source` field names; what is not well-formed is left out."""
    if value is None or value == "none":
        return []
    many = isinstance(value, list)
    found = []
    for index, item in enumerate(value if many else [value]):
        path: Path = ("source", index) if many else ("source",)
        if isinstance(item, dict) and "stage" in item:
            name, epoch, path = item["stage"], item.get("epoch"), (*path, "stage")
        else:
            name, epoch = item, None
        if isinstance(name, str):
            found.append(Source(name, epoch if isinstance(epoch, int) else None, path))
    return found


@dataclass(frozen=True)
class PlainStage:
    """A stage with what it inherits, as plain data.

    Attributes:
        name: The stage's name.
        own: The fields that it was written with; those that a draw left without effect are gone.
        fields: With what it inherits; fields of `defaults` without effect here are gone.
        checked: What is validated: `fields`, and blocks that a draw left without effect.
        dropped: Fields that a draw left without effect.
        off: Drawn fields that switch off what is not there (`merit: none` without a soft loss).
        broken: Fields that are not valid by themselves; nothing is concluded from them.
    """

    name: str
    own: dict[str, Any]
    fields: dict[str, Any]
    checked: dict[str, Any] = field(default_factory=dict)
    dropped: tuple[Path, ...] = ()
    off: tuple[Path, ...] = ()
    broken: frozenset[str] = frozenset()

    def get(self, *path: str | int, default: Any = None) -> Any:
        """The value of a field, or `default`."""
        return get(self.fields, path, default)

    def block(self, name: str) -> dict[str, Any] | None:
        """A block that is switched on: given, and not `none`."""
        value = self.fields.get(name)
        return value if isinstance(value, dict) else None

    def at(self, *path: str | int) -> Path:
        """The document path of a field."""
        return ("stages", self.name, *path)

    @property
    def is_select(self) -> bool:
        return "select" in self.fields

    @cached_property
    def sources(self) -> list[Source]:
        """The sources as named, `all` as one of them; empty for `none`."""
        return read_sources(self.fields.get("source"))

    @property
    def learns_from_all(self) -> bool:
        """Whether it says `source: all`."""
        return [source.stage for source in self.sources] == ["all"]

    @property
    def hints(self) -> list[Any]:
        hints = self.fields.get("hints")
        return hints if isinstance(hints, list) else []


def inherit(name: str, own: Any, defaults: Any, lines: Lines) -> PlainStage:
    """Return the stage `own` with what it inherits of `defaults`.

    A block is merged field by field, everything else is taken whole. Inherited fields that have
    no effect in this stage are left out: another optimizer's own fields, another form's model
    fields, `soft`, `merit` and `hints` without a source. So are drawn ones.
    """
    own = own if isinstance(own, dict) else {}
    base = defaults if isinstance(defaults, dict) else {}
    fields = {field: value for field, value in base.items() if field not in NOT_IN_DEFAULTS}
    for given, value in own.items():
        theirs = fields.get(given)
        if isinstance(theirs, dict) and isinstance(value, dict) and given in _BLOCKS:
            fields[given] = _merged(theirs, value, given == "model")
        else:
            fields[given] = value
    return _without_idle(PlainStage(name, own, fields), lines)


def _merged(theirs: dict[str, Any], own: dict[str, Any], is_model: bool) -> dict[str, Any]:
    if not is_model:
        return {**theirs, **own}
    inherited = dict(theirs)
    if any(form in own for form in MODEL_FORMS) and model_form(own) != model_form(theirs):
        # Another model: arguments and weights of the old one mean nothing to it.
        for name in (*MODEL_FORMS, *_OF_THE_MODEL):
            inherited.pop(name, None)
    fields = {**inherited, **own}
    for name in _MODEL_BLOCKS:
        if isinstance(inherited.get(name), dict) and isinstance(own.get(name), dict):
            fields[name] = {**inherited[name], **own[name]}
    kind = model_class(model_form(fields))
    if kind is not None:
        valid = field_names(kind)
        fields = {k: v for k, v in fields.items() if k in own or k in valid}
        said = [way for way in kind.WAYS if way in own]
        # A width said in the stage replaces an inherited one that is said in another way.
        for other in (*kind.WAYS, "blocks") if "widths" in said else kind.WAYS:
            if said and other not in own:
                fields.pop(other, None)
    return fields


# -- fields without effect ----------------------------------------------------------------------


class Idle(NamedTuple):
    """A field without effect where it is.

    Attributes:
        path: In the stage.
        rule: What is wrong with it, as a sentence.
        because: Fields that make it so.
        needs: Fields from which it is concluded.
        may_be_off: Whether the field may be there as `none`.
        inherited: Whether it is left out where it is inherited.
        written: Whether it is a problem where the stage itself has it.
    """

    path: Path
    rule: str
    because: tuple[Path, ...] = ()
    needs: tuple[str, ...] = ()
    may_be_off: bool = False
    inherited: bool = True
    written: bool = True


def _no_effect(why: str) -> str:
    return f"has no effect: {why}; drop the field"


_OF_SELECT = _no_effect("a `select` stage learns from the outputs of the stages it selects")
_ONLY_SELECT = _no_effect("only a stage with `select` has it")
_NO_SOURCE = _no_effect("the stage has no source")


def idle_fields(stage: PlainStage, lines: Lines) -> Iterator[Idle]:
    """The fields of a stage that have no effect in it, whoever gave them."""
    fields = stage.fields
    if "select" in fields:
        for name in NOT_IN_SELECT:
            if name in fields:
                yield Idle((name,), _OF_SELECT)
    else:
        for name in SELECT_ONLY[1:]:
            if name in fields:
                yield Idle((name,), _ONLY_SELECT)
        yield from _idle_losses(stage, lines)
    inputs = fields.get("inputs", Select.inputs)
    if inputs != "topk" and "k" in fields and "select" in fields:
        rule = _no_effect(f"inputs is {inputs}, and only topk has k")
        yield Idle(("k",), rule, (("inputs",),))
    for block in FORMS:
        if isinstance(fields.get(block), dict):
            yield from _of_other_forms(block, fields[block])
    if isinstance(fields.get("model"), dict):
        yield from _idle_in_model(fields["model"])
    if fields.get("cuda_graphs") is True and fields.get("compile", False) is False:
        rule = _no_effect("what is not compiled is not recorded; add compile: true")
        yield Idle(("cuda_graphs",), rule, (("compile",),), ("compile",))
    if "order" in fields:
        why = "it sorts what holes draw for each copy, and there are none"
        why = why if "repeat" in fields else "the stage has no `repeat`"
        yield Idle(("order",), _no_effect(why), needs=("repeat",))


def _idle_losses(stage: PlainStage, lines: Lines) -> Iterator[Idle]:
    fields, sources = stage.fields, stage.sources
    source, soft = (("source",),), fields.get("soft")
    if not sources:
        # With copies, the second one learns from the first.
        repeat = fields.get("repeat", 0)
        one = repeat in (0, 1) and not lines.is_drawn(stage.at("repeat"))
        known = ("source", "repeat")
        for name in NEED_SOURCE:
            if name in fields:
                yield Idle((name,), _NO_SOURCE, source, known, may_be_off=True, written=one)
        if one:
            rule = _no_effect("the stage has no source, so labels weigh 1")
            yield Idle(("hard", "weight"), rule, source, known, inherited=False)
    elif len(sources) == 1 and not stage.learns_from_all:
        for name in ("combine", "drop"):
            rule = _no_effect("there is one source")
            yield Idle(("soft", name), rule, source, ("source", "repeat"))
    if soft == "none":
        if sources:
            rule = _no_effect("soft is none, so labels weigh 1")
            needs = ("soft", "source", "repeat")
            yield Idle(("hard", "weight"), rule, (("soft",),), needs, inherited=False)
        rule = _no_effect("it moves the soft weight, and soft is none")
        yield Idle(("merit",), rule, (("soft",),), may_be_off=True)
    hints = stage.hints
    if not hints and "hint_phase" in fields:
        rule = _no_effect("there are no hints")
        of_hints = ((("hints",),), ("hints", "source"), True)
        yield Idle(("hint_phase",), rule, *of_hints, written=bool(sources))
    for number, hint in enumerate(hints):
        loss = hint.get("loss") if isinstance(hint, dict) else None
        unused = HINT_LOSSES.get(loss, {}) if isinstance(loss, str) else {}
        for name, why in (OF_OWN_HINT_LOSSES if is_own(loss) else unused).items():
            at: Path = ("hints", number)
            decided = (at, (*at, "loss"))
            yield Idle((*at, name), _no_effect(why), decided, ("source",), inherited=False)


def _of_other_forms(block: str, given: dict[str, Any]) -> Iterator[Idle]:
    """Fields that another form has; by name, so that the reader sees which do."""
    forms = FORMS[block]
    form = given.get(forms.key, forms.default)
    if not isinstance(form, str) or (form not in forms.classes and not is_own(form)):
        return
    valid = field_names(forms.of(given))
    schedule = given.get("schedule", Optimizer.schedule)
    shown = "a function of your own" if form not in forms.classes else form
    for name in given:
        if name in STEP_FIELDS and block == "optimizer":
            if schedule != "step":
                rule = f"schedule is {schedule}, and it belongs to schedule: step"
                yield Idle((block, name), _no_effect(rule), ((block, "schedule"),))
        elif name not in valid:
            of = " and ".join(forms.owners(name))
            rule = _no_effect(f"{forms.key} is {shown}, and it belongs to {of}")
            yield Idle((block, name), rule, ((block, forms.key),), written=bool(of))


def _idle_in_model(model: dict[str, Any]) -> Iterator[Idle]:
    form = model_form(model)
    kind = model_class(form)
    if form is None or kind is None:
        return
    decided = (("model", form[0]),)
    what = f"{form[0]}: {form[1]}" if form[0] == "family" else f"a {form[0]} model"
    valid = field_names(kind)
    for name in model:
        if name not in valid and owners(name):
            rule = f"no field {name!r} in {what}; it belongs to {either(owners(name))}"
            yield Idle(("model", name), rule, decided)
    ours = form[0] in ("family", "preset")
    if model.get("head") == "new" and "weights" not in model and ours:
        rule = _no_effect("without weights the head is new anyway")
        yield Idle(("model", "head"), rule, decided, inherited=False)


def is_off(value: Any) -> bool:
    """Whether a value switches a block off."""
    return bool(value == "none" or value == [])


def _without_idle(stage: PlainStage, lines: Lines) -> PlainStage:
    """The stage without inherited and drawn fields that have no effect in it."""
    checked, dropped, off = dict(stage.fields), list[Path](), list[Path]()
    again = True
    while again:
        again = False
        for idle in idle_fields(stage, lines):
            path = idle.path
            value = get(stage.fields, path)
            if value is None:
                continue
            if get(stage.own, path) is None:
                if idle.inherited and (len(path) > 1 or path[0] not in stage.own):
                    stage = replace(stage, fields=without(stage.fields, path))
                    checked = without(checked, path)
                continue
            drawn = lines.is_drawn(stage.at(*path))
            if idle.may_be_off and is_off(value):
                off += [path] if drawn and path not in off else []
            elif idle.written and (
                drawn or any(lines.is_drawn(stage.at(*other)) for other in idle.because)
            ):
                again = True
                dropped.append(path)
                stage = replace(
                    stage, fields=without(stage.fields, path), own=without(stage.own, path)
                )
                checked = checked if len(path) == 1 else without(checked, path)
    return replace(stage, checked=checked, dropped=tuple(dropped), off=tuple(off))


# -- who learns from whom -----------------------------------------------------------------------


def earlier_alike(before: Sequence[PlainStage], stage: PlainStage) -> list[str]:
    """What `source: all` means: the stages before that read the same modality and map inputs."""
    mine = stage.fields.get("modality")
    return [s.name for s in before if not s.is_select and s.fields.get("modality") == mine]


def source_names(stage: PlainStage, before: Sequence[PlainStage]) -> list[str]:
    """The names of a stage's sources, `all` written out."""
    if stage.learns_from_all:
        return earlier_alike(before, stage)
    return [source.stage for source in stage.sources]


class Chains:
    """Who learns from whom, among the stages that are no selectors."""

    def __init__(self, stages: Sequence[PlainStage]) -> None:
        self._sources = {
            stage.name: source_names(stage, stages[:index])
            for index, stage in enumerate(stages)
            if not stage.is_select
        }
        self._readers: dict[str, list[str]] = {name: [] for name in self._sources}
        for name, sources in self._sources.items():
            for source in sources:
                self._readers.setdefault(source, []).append(name)

    def starts(self, name: str) -> list[str]:
        """The stages without a source from which the map comes to `name`."""
        return _ends(name, self._sources)

    def ends(self, name: str) -> list[str]:
        """The stages that nobody learns from, to which the map of `name` goes."""
        return _ends(name, self._readers)


def _ends(name: str, links: Mapping[str, Sequence[str]]) -> list[str]:
    found: list[str] = []
    seen, todo = {name}, [name]
    while todo:
        here = todo.pop(0)
        following = [other for other in links.get(here, ()) if other in links]
        if not following:
            found.append(here)
        for other in following:
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return found


def is_relative(stage: PlainStage) -> bool:
    """Whether a stage's size is measured by other stages."""
    size = stage.get("model", "size")
    return size is not None and get(size, ("params",)) is None


def size_ends(stage: PlainStage, chains: Chains) -> tuple[str, str] | str:
    """The start and end by which a stage is sized, or, as a text, why there are none."""
    between = stage.get("model", "size", "between")
    if between is not None:
        start, end = (str(name) for name in between)
        return start, end
    starts, ends = chains.starts(stage.name), chains.ends(stage.name)
    if len(starts) == 1 and len(ends) == 1:
        return starts[0], ends[0]
    found = f"starts {', '.join(starts)}" if len(starts) > 1 else f"ends {', '.join(ends)}"
    return (
        f"several chains go through this stage ({found}); write "
        f"`size: {{at: S, between: [START, END]}}`"
    )
