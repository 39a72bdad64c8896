"""The data and the sources that a process has read for stages, kept from one to the next.

Neither is ever used unseen.
"""

import platform
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import DataChangedError, DataError
from .messages import StageSetting

if TYPE_CHECKING:
    from ..data import Split
    from ..training.kept_sources import KeptSources
    from ..training.stage_kind import StageContext

MOST_BYTES = 2 << 30
"""Data sets together, in bytes; the last one is kept however large it is."""


def context_of(job: Any, setting: StageSetting) -> "StageContext":
    """The run's data on the job's device; read once in each process.

    A node may hold other files than the driver's, files may change in mid-search, and a process
    may have read them for a run before: what was read must be what the job's key says.

    Raises:
        DataChangedError: It is not, or cannot be read; names this machine. No answer about the
            job's schedule.
    """
    device = job.profile.device
    expected = job.keys.preimage["data"]
    kept = _mark(setting, device) in _KEPT
    context = read_data(setting, device)
    changed = _difference(expected, context)
    if changed and kept:  # read when the files, or the factory's code, were others
        forget_data()
        _forget_factory(setting)
        context = read_data(setting, device)
        changed = _difference(expected, context)
    if changed:
        forget_data()
        raise DataChangedError(
            f"{platform.node()}: the data that stage {job.name!r} would learn from here is not "
            f"what this search began with: {changed}. {_advice(setting)}"
        )
    return context


def _difference(expected: Mapping[str, str], context: "StageContext") -> str | None:
    from ..training.schedule_data import data_difference

    return data_difference(expected, context.facts) if context.facts is not None else None


def _advice(setting: StageSetting) -> str:
    words = (
        "Every node must read the same: put the same files at the same place on each, or where "
        "all reach them; if they were changed on purpose, search into a new folder"
    )
    if setting.data is not None and setting.data.factory is not None:
        words += (
            ". A factory must not draw when it is imported, or go by the order of a set or of "
            "os.listdir: these differ from process to process"
        )
    return words


def _forget_factory(setting: StageSetting) -> None:
    """Let a factory's module, and those of its package, be imported again."""
    factory = setting.data.factory if setting.data is not None else None
    root = (factory or "").partition(":")[0].partition(".")[0]
    for name in [name for name in sys.modules if root and name.partition(".")[0] == root]:
        if "site-packages" not in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


def read_data(setting: StageSetting, device: str) -> "StageContext":
    """The data on a device: what this process has read before, else read now.

    Raises:
        DataChangedError: It cannot be read; names this machine.
    """
    mark = _mark(setting, device)
    context = _KEPT.pop(mark, None)
    if context is None:
        try:
            context = _read(setting, device)
        except DataChangedError:
            if not _KEPT:
                raise
            forget_data()  # it may be what does not fit beside others
            context = _read(setting, device)
    _KEPT[mark] = context
    while len(_KEPT) > 1 and sum(map(_bytes_of, _KEPT.values())) > MOST_BYTES:
        _KEPT.pop(next(iter(_KEPT)))
    kept = _kept_sources() if _keeps_sources(device) else None
    return replace(context, save_every_s=setting.save_every_s, run=setting.run, kept=kept)


def forget_data() -> None:
    """Free the data and the sources that stages of this process have read."""
    _KEPT.clear()
    _SOURCES.clear()


def _keeps_sources(device: str) -> bool:
    """Whether a stage there need not load its sources anew: on a CPU that takes no time."""
    return device.startswith("cuda")


def _kept_sources() -> "KeptSources":
    from ..training.kept_sources import KeptSources

    if not _SOURCES:
        _SOURCES.append(KeptSources())
    return _SOURCES[0]


_KEPT: "dict[str, StageContext]" = {}
"""By what was read; the one that was used last is the last."""
_SOURCES: "list[KeptSources]" = []


def _mark(setting: StageSetting, device: str) -> str:
    return repr((setting.data, setting.with_selector, setting.folder, device))


def _bytes_of(context: "StageContext") -> int:
    splits: list[Split | None] = [context.train, context.val, context.selector]
    return sum(
        one.numel() * one.element_size()
        for split in splits
        if split is not None
        for one in (*split.x.values(), split.y, split.index)
    )


def _read(setting: StageSetting, device: str) -> "StageContext":
    from ..training.schedule_data import data_facts, load_described
    from ..training.stage_kind import StageContext

    assert setting.data is not None, "a run of real stages has data"
    try:
        data = load_described(setting.data, with_selector=setting.with_selector).to(device)
    except DataError as error:  # the driver has read it
        raise DataChangedError(
            f"{platform.node()} cannot read the data that this search began with: {error}"
        ) from error
    return StageContext(
        data.split("train"),
        data.split("val"),
        {},
        selector=data.split("selector") if setting.with_selector else None,
        facts=data_facts(data),
    )
