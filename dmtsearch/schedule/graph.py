"""Rules between stages: names, order, sources, chains, what reaches `deliver`; and of the data."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import nearest
from ..names import DATA_SETS
from .inherit import Chains, PlainStage, earlier_alike, is_relative, size_ends, source_names
from .model import model_form
from .places import Path
from .problems import ProblemReport
from .stage import Stage

Stages = Mapping[str, PlainStage]
_LINKS = {"source", "select", "init", "repeat", "modality"}
_SHAPING = ("widths", "base", "blocks", "convs", "size", "norm", "hidden", "bottleneck")
_SPLITS = ("train", "val", "test")


def check_data(data: Mapping[str, Any], stages: Stages, report: ProblemReport) -> None:
    """Check what the text of `data` tells: one origin, known names, splits that fit."""
    given = [name for name in ("name", "factory") if name in data]
    if len(given) != 1:
        got = "; got both" if given else ""
        report.add(("data",), f"must have exactly one of name and factory{got}")
    name = data.get("name")
    if name is not None and name not in DATA_SETS:
        rule = f"no data set {name!r}"
        if "did you mean" not in nearest(str(name), DATA_SETS):
            rule += (
                "; data of your own is `factory: package.module:function` in place of name (the "
                "factory is not called where Python brings the data: train(..., data=...))"
            )
        report.add(("data", "name"), rule, names=DATA_SETS)
    if "selector" in data and not any(stage.is_select for stage in stages.values()):
        rule = "has no effect: there is no stage with `select`; drop the field"
        report.add(("data", "selector"), rule)
    total = sum(data[name] for name in _SPLITS if isinstance(data.get(name), float))
    if total > 1 + 1e-9:
        rule = f"train, val and test are fractions of the data and sum to {total:g}; at most 1"
        report.add(("data",), rule)


def check_graph(document: Mapping[str, Any], stages: Stages, report: ProblemReport) -> bool:
    """Check everything between stages; return whether every name was found in its place."""
    before = len(report.problems)
    names = list(stages)
    for index, stage in enumerate(stages.values()):
        _check_sources(stage, names[:index], stages, report)
        _check_init(stage, names[:index], stages, report)
        _check_select(stage, names[:index], stages, report)
        _check_between(stage, stages, report)
    named = len(report.problems) == before
    every = list(stages.values())
    for index, stage in enumerate(every):
        if stage.hints:
            _check_hints(stage, every[:index], stages, report)
    _check_copies(stages, report)
    _check_modalities(stages, report)
    if (
        _check_delivered(document, stages, report)
        and named
        and not any(stage.broken & _LINKS for stage in every)
    ):
        # A misspelt source leaves its stage unread: one mistake, one problem.
        _check_deliver(document, stages, report)
    return named


def _find(
    path: Path,
    name: object,
    stage: PlainStage,
    earlier: Sequence[str],
    stages: Stages,
    report: ProblemReport,
    *,
    advice: str = "",
) -> bool:
    """Whether `name` is an earlier stage; else a problem, with advice where no name is near."""
    if name in earlier:
        return True
    if name == stage.name:
        report.add(path, "a stage cannot name itself", name)
    elif name in stages:
        report.add(
            path, f"stage {name!r} stands later; a stage may name only earlier ones, so move it up"
        )
    else:
        misspelt = "did you mean" in nearest(str(name), earlier)
        rule = f"no stage called {name!r}" + ("" if misspelt else advice)
        report.add(path, rule, names=earlier)
    return False


def _check_sources(
    stage: PlainStage, earlier: Sequence[str], stages: Stages, report: ProblemReport
) -> None:
    if "source" in stage.broken or stage.learns_from_all:
        return
    seen: set[tuple[str, int | None]] = set()
    for source in stage.sources:
        path = stage.at(*source.path)
        if source.stage in ("all", "none"):
            report.add(path, f"{source.stage} stands alone, not in a list")
            continue
        if not _find(path, source.stage, stage, earlier, stages, report):
            continue
        if (source.stage, source.epoch) in seen:
            report.add(path, "stands twice; name a source once", source.stage)
        seen.add((source.stage, source.epoch))
        if stages[source.stage].is_select:
            report.add(path, "is a selector, which has no map to learn from", source.stage)
        other = stages[source.stage]
        epochs = other.get("epochs", default=Stage.epochs)
        if source.epoch is None or "epochs" in other.broken or not isinstance(epochs, int):
            continue
        if source.epoch > epochs:
            at = stage.at("source", "epoch") if len(source.path) == 2 and (
                source.path[1] == "stage") else path  # fmt: skip
            rule = f"stage {other.name!r} has {epochs} epochs; name one of them, from 1"
            report.add(at, rule, source.epoch)


def _check_init(
    stage: PlainStage, earlier: Sequence[str], stages: Stages, report: ProblemReport
) -> None:
    name, path = stage.get("init"), stage.at("init")
    if name is None or name == "none" or "init" in stage.broken:
        return
    if not _find(path, name, stage, earlier, stages, report):
        return
    other = stages[str(name)]
    if other.is_select or stage.is_select:
        report.add(path, "is a selector, which has no weights to go on from", name)
    elif "model" not in stage.broken | other.broken and _differ(stage, other):
        report.add(
            path, f"stage {other.name!r} has another model; init needs the same one, so that its "
            "weights fit"
        )  # fmt: skip


def _differ(stage: PlainStage, other: PlainStage) -> bool:
    """Whether two models differ for sure. Unlike forms may build the same net: left to shapes."""
    mine, theirs = stage.block("model"), other.block("model")
    if mine is None or theirs is None:
        return False
    form, their_form = model_form(mine), model_form(theirs)
    if form is None or their_form is None or form[0] != their_form[0]:
        return False
    return form != their_form or any(
        mine[field] != theirs[field] for field in _SHAPING if field in mine and field in theirs
    )


def _check_select(
    stage: PlainStage, earlier: Sequence[str], stages: Stages, report: ProblemReport
) -> None:
    names = stage.get("select")
    if not isinstance(names, list) or "select" in stage.broken:
        return
    if len(names) < 2:
        report.add(stage.at("select"), "must name at least two stages to select from", names)
    seen: dict[str, str] = {}
    for index, name in enumerate(names):
        path = stage.at("select", index)
        advice = f"; a modality needs a classifier, a stage with `modality: {name}`"
        if not _find(path, name, stage, earlier, stages, report, advice=advice):
            continue
        other = stages[str(name)]
        modality = other.get("modality")
        if other.is_select:
            report.add(path, "is itself a selector; name the stages that it selects from", name)
        elif "modality" in other.broken:
            continue
        elif modality is None or modality == "none":
            report.add(path, f"stage {other.name!r} names no modality; select needs one of each")
        elif modality in seen:
            report.add(
                path,
                f"stages {seen[modality]!r} and {other.name!r} read the same modality "
                f"{modality!r}; select needs unlike ones",
            )
        else:
            seen[modality] = other.name


def _check_hints(
    stage: PlainStage, before: Sequence[PlainStage], stages: Stages, report: ProblemReport
) -> None:
    if stage.broken & {"hints", "source"}:
        return
    names = source_names(stage, before)
    for number, hint in enumerate(stage.hints):
        source = hint.get("source") if isinstance(hint, dict) else None
        if not isinstance(source, str):
            continue
        named = source.split(".", 1)[0]
        if "." not in source or named not in stages or named in names or not names:
            continue
        path = stage.at("hints", number, "source")
        if _find(path, named, stage, [one.name for one in before], stages, report) and (
            stages[named].is_select
        ):
            report.add(path, "is a selector, which has no map to learn from", named)


def _check_between(stage: PlainStage, stages: Stages, report: ProblemReport) -> None:
    between = stage.get("model", "size", "between")
    if not isinstance(between, list) or "model" in stage.broken:
        return
    for index, end in enumerate(between):
        path = stage.at("model", "size", "between", index)
        if end == stage.name:
            report.add(path, "a stage cannot be its own measure", end)
        elif end not in stages:
            report.add(path, f"no stage called {str(end)!r}", names=list(stages))
        elif stages[str(end)].is_select:
            report.add(path, "is a selector, which has no size to go by", end)


def _check_copies(stages: Stages, report: ProblemReport) -> None:
    """Copies get names of their own; no stage may have one already."""
    for name in stages:
        stem, _, number = name.rpartition("_")
        if stem in stages and "repeat" in stages[stem].fields and number.isdigit():
            report.add(
                ("stages", name), f"is also the name of a copy of {stem!r}, which has `repeat`; "
                "choose another name"
            )  # fmt: skip


def _check_modalities(stages: Stages, report: ProblemReport) -> None:
    """A data set has modalities or it has none."""
    open_ends = any("modality" in stage.broken for stage in stages.values())
    others = [stage for stage in stages.values() if not stage.is_select]
    named = [stage for stage in others if stage.get("modality") not in (None, "none")]
    if open_ends or not named:
        return
    for stage in others:
        if stage not in named:
            report.add(
                stage.at("modality"),
                f"is missing; stage {named[0].name!r} reads {named[0].get('modality')!r}, so "
                "each stage must say what it reads",
            )


def reads(stage: PlainStage, before: Sequence[PlainStage]) -> set[str]:
    """The stages that a stage reads: its sources, whose weights it takes, what it selects from."""
    if stage.learns_from_all:
        names = set(earlier_alike(before, stage))
    else:
        names = {source.stage for source in stage.sources}
    if names:
        names |= _hinting(stage, before)
    select, init = stage.get("select"), stage.get("init")
    names |= {str(name) for name in select} if isinstance(select, list) else set()
    return names | ({str(init)} if init is not None else set())


def _hinting(stage: PlainStage, before: Sequence[PlainStage]) -> set[str]:
    """The earlier stages that hints name, `STAGE.POINT`."""
    points = [hint.get("source") for hint in stage.hints if isinstance(hint, dict)]
    named = {point.split(".", 1)[0] for point in points if isinstance(point, str) and "." in point}
    return named & {one.name for one in before}


def unread_stages(stages: Sequence[PlainStage]) -> list[str]:
    """The names of the stages that no other stage reads."""
    read = set[str]()
    for index, stage in enumerate(stages):
        read |= reads(stage, stages[:index])
    return [stage.name for stage in stages if stage.name not in read]


def _check_delivered(document: Mapping[str, Any], stages: Stages, report: ProblemReport) -> bool:
    """Whether `deliver` names a stage, where it is given."""
    deliver = document.get("deliver")
    if deliver is None or deliver in stages:
        return True
    report.add(("deliver",), f"no stage called {deliver!r}", names=list(stages))
    return False


def _check_deliver(document: Mapping[str, Any], stages: Stages, report: ProblemReport) -> None:
    deliver = document.get("deliver")
    names, every = list(stages), list(stages.values())
    read_by = {stage.name: reads(stage, every[:i]) for i, stage in enumerate(every)}
    unread = [name for name in names if not any(name in read for read in read_by.values())]
    if deliver is None and len(unread) > 1:
        shown = ", ".join(repr(name) for name in unread)
        report.add(("stages",), f"nobody reads {shown}; say which is the result with `deliver: "
                   "NAME`, and make the others its sources or drop them")  # fmt: skip
        return
    if not unread and deliver is None:
        return
    wanted = str(deliver) if deliver is not None else unread[0]
    reached, todo = {wanted}, [wanted]
    while todo:
        new = read_by[todo.pop()] & set(names) - reached
        reached |= new
        todo += new
    for name in names:
        if name not in reached:
            report.add(
                ("stages", name), f"does not reach {wanted!r}, which is delivered; make it a "
                "source on the way, or drop it"
            )  # fmt: skip


# -- what shows only with repeats written out ---------------------------------------------------


def check_unrolled(
    document: Mapping[str, Any], stages: Stages, declared: Stages, report: ProblemReport
) -> None:
    """Check a document whose names are all found, as it is with repeats written out."""
    if any("repeat" in stage.broken for stage in declared.values()):
        return
    if not stages:
        report.add(("stages",), "nothing is left: `repeat: 0` removes every stage")
        return
    for stage in stages.values():
        select = stage.get("select")
        written = declared[stage.name].get("select") if stage.name in declared else select
        if isinstance(select, list) and len(select) < 2 <= len(written or ()):
            rule = "`repeat: 0` leaves fewer than two stages to select from"
            report.add(stage.at("select"), rule)
    every = list(stages.values())
    for index, stage in enumerate(every):
        _check_folds(stage, every[:index], stages, report)
    if any(stage.get("repeat") == 0 for stage in declared.values()):
        _check_result(document, stages, report)
    if not any(stage.broken & {"model", "source"} for stage in declared.values()):
        _check_sizes(stages, report)


def _check_folds(
    stage: PlainStage, before: Sequence[PlainStage], stages: Stages, report: ProblemReport
) -> None:
    """Copies that leave out a fold are trained; a source without epochs is not."""
    if stage.get("merit", "from") != "folds" or stage.broken & {"merit", "source"}:
        return
    names = source_names(stage, before)
    if names and stages[names[0]].get("epochs", default=Stage.epochs) == 0:
        rule = (
            f"source {names[0]!r} has 0 epochs, and folds need copies of it that are trained "
            "without a part of the training split; give it epochs, or write `from: train`"
        )
        report.add(stage.at("merit", "from"), rule, "folds")


def _check_result(document: Mapping[str, Any], stages: Stages, report: ProblemReport) -> None:
    """The delivered stage is still there when removed stages are gone."""
    deliver = document.get("deliver")
    unread = unread_stages(list(stages.values()))
    if deliver is not None and deliver not in stages:
        report.add(("deliver",), "`repeat: 0` removes the delivered stage, which has no source to "
                   "deliver instead", deliver)  # fmt: skip
    elif deliver is None and len(unread) > 1:
        shown = ", ".join(repr(name) for name in unread)
        report.add(("stages",), f"with `repeat: 0`, nobody reads {shown}; say which is the result "
                   "with `deliver: NAME`")  # fmt: skip


def _check_sizes(stages: Stages, report: ProblemReport) -> None:
    relative = [stage for stage in stages.values() if is_relative(stage) and _is_whole(stage)]
    chains = Chains(list(stages.values())) if relative else None
    for stage in relative:
        if chains is None:
            continue
        path, ends = stage.at("model", "size"), size_ends(stage, chains)
        if isinstance(ends, str):
            report.add(path, ends)
            continue
        for end, what in zip(ends, ("start", "end"), strict=True):
            if end not in stages:
                report.add(path, f"its {what} was removed by `repeat: 0`; name another in between")
            elif end == stage.name:
                report.add(path, f"the stage is itself its chain's {what}, so a size between "
                           "start and end says nothing; write widths")  # fmt: skip
            elif is_relative(stages[end]):
                report.add(path, f"its {what} {end!r} has only a relative size itself; give that "
                           "one widths, a preset or `size: {params: N}`")  # fmt: skip


def _is_whole(stage: PlainStage) -> bool:
    """Whether a relative size is all there; what is wrong with it has been reported."""
    model, size = stage.fields["model"], stage.get("model", "size")
    ways = [way for way in ("widths", "base", "size") if way in model]
    return ways == ["size"] and not (isinstance(size, dict) and len(size) != 2)
