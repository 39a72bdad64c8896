"""Rules between stages: names, order, sources, what reaches `deliver`."""

from collections.abc import Mapping, Sequence

from ..errors import nearest
from .chain import source_names
from .forms import model_form
from .merge import Merged
from .node import Node
from .problems import Report
from .unroll import earlier_alike, learns_from_all

Stages = Mapping[str, Merged]


def check_graph(document: Node, stages: Stages, report: Report) -> bool:
    """Check everything between stages; return whether every name was found in its place."""
    before = len(report.problems)
    for index, stage in enumerate(stages.values()):
        earlier = list(stages)[:index]
        _check_sources(stage, earlier, stages, report)
        _check_init(stage, earlier, stages, report)
        _check_select(stage, earlier, stages, report)
        _check_between(stage, stages, report)
    named = len(report.problems) == before
    for index, stage in enumerate(stages.values()):
        _check_hints(stage, list(stages)[:index], stages, report)
    _check_copies(stages, report)
    _check_modalities(stages, report)
    if (
        _check_delivered(document, stages, report)
        and named
        and not any(stage.broken & _LINKS for stage in stages.values())
    ):
        # A misspelt source leaves its stage unread: one mistake, one problem.
        _check_deliver(document, stages, report)
    return named


_LINKS = {"source", "select", "init", "repeat", "modality"}


def _find(
    node: Node,
    name: object,
    stage: Merged,
    earlier: Sequence[str],
    stages: Stages,
    report: Report,
    *,
    advice: str = "",
) -> bool:
    """Whether `name` is an earlier stage; else a problem, with advice where no name is near."""
    if name in earlier:
        return True
    if name == stage.name:
        report.add(node, "a stage cannot name itself", name)
    elif name in stages:
        report.add(
            node, f"stage {name!r} stands later; a stage may name only earlier ones, so move it up"
        )
    else:
        misspelt = "did you mean" in nearest(str(name), earlier)
        rule = f"no stage called {name!r}" + ("" if misspelt else advice)
        report.add(node, rule, names=earlier)
    return False


def _check_sources(stage: Merged, earlier: Sequence[str], stages: Stages, report: Report) -> None:
    if "source" in stage.broken or learns_from_all(stage):
        return
    seen: set[tuple[str, int | None]] = set()
    for source in stage.sources:
        if source.stage in ("all", "none"):
            report.add(source.node, f"{source.stage} stands alone, not in a list")
            continue
        if not _find(source.node, source.stage, stage, earlier, stages, report):
            continue
        if (source.stage, source.epoch) in seen:
            report.add(source.node, "stands twice; name a source once", source.stage)
        seen.add((source.stage, source.epoch))
        if stages[source.stage].is_select:
            report.add(source.node, "is a selector, which has no map to learn from", source.stage)
        _check_epoch(source.node, source.epoch, stages[source.stage], stage, report)


def _check_epoch(
    node: Node, epoch: int | None, source: Merged, stage: Merged, report: Report
) -> None:
    epochs = source.value("epochs", default=20)
    if epoch is None or "epochs" in source.broken or not isinstance(epochs, int):
        return
    if epoch > epochs:
        at = stage.get("source", "epoch") or node
        report.add(
            at,
            f"stage {source.name!r} has {epochs} epochs; name one of them, from 1",
            epoch,
        )


def _check_init(stage: Merged, earlier: Sequence[str], stages: Stages, report: Report) -> None:
    node = stage.get("init")
    if node is None or node.value == "none" or "init" in stage.broken:
        return
    if not _find(node, node.value, stage, earlier, stages, report):
        return
    other = stages[str(node.value)]
    if other.is_select or stage.is_select:
        report.add(node, "is a selector, which has no weights to go on from", node)
    elif "model" not in stage.broken | other.broken and _unlike(stage, other):
        report.add(
            node, f"stage {other.name!r} has another model; init needs the same one, so that its "
            "weights fit"
        )  # fmt: skip


def _unlike(stage: Merged, other: Merged) -> bool:
    """Whether two models differ for sure. Unlike forms may build the same net: left to shapes."""
    mine, theirs = stage.block("model"), other.block("model")
    if mine is None or theirs is None:
        return False
    form, their_form = model_form(mine.fields), model_form(theirs.fields)
    if form is None or their_form is None or form[0] != their_form[0]:
        return False
    return form != their_form or any(
        stage.value("model", field) != other.value("model", field)
        for field in _SHAPING
        if field in mine.fields and field in theirs.fields
    )


_SHAPING = ("widths", "base", "blocks", "convs", "size", "norm", "hidden", "bottleneck")


def _check_select(stage: Merged, earlier: Sequence[str], stages: Stages, report: Report) -> None:
    node = stage.get("select")
    if node is None or "select" in stage.broken:
        return
    if len(node.items) < 2:
        report.add(node, "must name at least two stages to select from", node)
    seen: dict[str, str] = {}
    for item in node.items:
        advice = f"; a modality needs a classifier, a stage with `modality: {item.value}`"
        if not _find(item, item.value, stage, earlier, stages, report, advice=advice):
            continue
        other = stages[str(item.value)]
        modality = other.value("modality")
        if other.is_select:
            report.add(item, "is itself a selector; name the stages that it selects from", item)
        elif "modality" in other.broken:
            continue
        elif modality is None or modality == "none":
            report.add(item, f"stage {other.name!r} names no modality; select needs one of each")
        elif modality in seen:
            report.add(
                item,
                f"stages {seen[modality]!r} and {other.name!r} read the same modality "
                f"{modality!r}; select needs unlike ones",
            )
        else:
            seen[modality] = other.name


def _check_hints(stage: Merged, earlier: Sequence[str], stages: Stages, report: Report) -> None:
    if "hints" in stage.broken or "source" in stage.broken:
        return
    names = source_names(stage, [stages[name] for name in earlier])
    for hint in stage.hints:
        source = hint.get("source")
        if source is None or not isinstance(source.value, str):
            continue
        named = source.value.split(".", 1)[0]
        if "." in source.value and named in stages and named not in names and names:
            report.add(
                source,
                f"stage {named!r} is not a source of stage {stage.name!r}; its sources: "
                + ", ".join(names),
            )


def _check_between(stage: Merged, stages: Stages, report: Report) -> None:
    between = stage.get("model", "size", "between")
    if between is None or "model" in stage.broken:
        return
    for end in between.items:
        if end.value == stage.name:
            report.add(end, "a stage cannot be its own measure", end)
        elif end.value not in stages:
            report.add(end, f"no stage called {str(end.value)!r}", names=list(stages))
        elif stages[str(end.value)].is_select:
            report.add(end, "is a selector, which has no size to go by", end)


def _check_copies(stages: Stages, report: Report) -> None:
    """Copies get names of their own; no stage may have one already."""
    for name in stages:
        stem, _, number = name.rpartition("_")
        if stem in stages and "repeat" in stages[stem].node.fields and number.isdigit():
            report.add(
                stages[name].node, f"is also the name of a copy of {stem!r}, which has `repeat`; "
                "choose another name"
            )  # fmt: skip


def _check_modalities(stages: Stages, report: Report) -> None:
    """A data set has modalities or it has none."""
    open_ends = any("modality" in stage.broken for stage in stages.values())
    plain = [s for s in stages.values() if not s.is_select]
    named = [s for s in plain if s.value("modality") not in (None, "none")]
    if open_ends or not named:
        return
    for stage in plain:
        if stage not in named:
            report.add(
                stage.node,
                f"is missing; stage {named[0].name!r} reads {named[0].value('modality')!r}, so "
                "each stage must say what it reads",
                field="modality",
            )


def reads(stage: Merged, before: Sequence[Merged]) -> set[str]:
    """The stages that a stage reads: its sources, whose weights it takes, what it selects from."""
    if learns_from_all(stage):
        names = set(earlier_alike(before, stage))
    else:
        names = {source.stage for source in stage.sources}
    select, init = stage.get("select"), stage.get("init")
    names |= {str(item.value) for item in select.items} if select is not None else set()
    return names | ({str(init.value)} if init is not None else set())


def _check_delivered(document: Node, stages: Stages, report: Report) -> bool:
    """Whether `deliver` names a stage, where it is given."""
    deliver = document.get("deliver")
    if deliver is None or deliver.value in stages:
        return True
    report.add(deliver, f"no stage called {deliver.value!r}", names=list(stages))
    return False


def _check_deliver(document: Node, stages: Stages, report: Report) -> None:
    deliver = document.get("deliver")
    names, every = list(stages), list(stages.values())
    read_by = {stage.name: reads(stage, every[:i]) for i, stage in enumerate(every)}
    unread = [name for name in names if not any(name in read for read in read_by.values())]
    if deliver is None and len(unread) > 1:
        at = document.get("stages") or document
        shown = ", ".join(repr(name) for name in unread)
        report.add(at, f"nobody reads {shown}; say which is the result with `deliver: NAME`, and "
                   "make the others its sources or drop them")  # fmt: skip
        return
    if not unread and deliver is None:
        return
    wanted = str(deliver.value) if deliver is not None else unread[0]
    reached, todo = {wanted}, [wanted]
    while todo:
        new = read_by[todo.pop()] & set(names) - reached
        reached |= new
        todo += new
    for name in names:
        if name not in reached:
            report.add(
                stages[name].node, f"does not reach {wanted!r}, which is delivered; make it a "
                "source on the way, or drop it"
            )  # fmt: skip
