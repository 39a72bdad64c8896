"""What a space allows but should be known: holes that leave nothing to share, single values."""

from __future__ import annotations

from ..schedule.chain import merged_stages
from ..schedule.check_unrolled import unread_stages
from ..schedule.node import Node
from ..schedule.problems import Report
from ..schedule.unroll import Unrolled
from .choosing import anchor_values
from .hole import Hole
from .template import Template


def find_notes(template: Template, report: Report) -> list[str]:
    """Return the notes on a valid space, after what its check has warned about."""
    delivered = _delivered(template)
    for hole in template.holes.values():
        at = Node(None, hole.path, hole.line)
        stage = hole.path.split(".")[1] if hole.path.startswith("stages.") else None
        if hole.is_continuous and stage is None:
            report.warn(
                at, "is continuous, for every stage that inherits it, so trials share no stage; "
                "a step makes sharing possible"
            )  # fmt: skip
        elif hole.is_continuous and stage != delivered:
            report.warn(
                at,
                f"is continuous in the early stage {stage!r}, so no two trials share that stage "
                "or what follows; a step makes sharing possible",
            )
        if _is_single(hole):
            report.warn(at, "has one value only; write the value in place of the hole")
    return report.warnings


def _is_single(hole: Hole) -> bool:
    return not hole.is_continuous and len(hole) == 1


def _delivered(template: Template) -> str | None:
    """The declared name of the stage that a search is about."""
    declared = template.document.get("deliver")
    if declared is not None:
        return str(declared.value)
    filled = template.fill(anchor_values(template), "")
    unread = unread_stages(merged_stages(Unrolled(filled, {})))
    names = template.document.get("stages")
    last = unread[-1] if unread else ""
    stem = last.rpartition("_")[0]
    return (
        stem if names is not None and stem in names.fields and last not in names.fields else last
    )
