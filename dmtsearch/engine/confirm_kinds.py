"""Which kind of confirmation a run has: a row each kind of stage that is delivered."""

from collections.abc import Mapping

from dmtsearch.schedule import Schedule, expand

from .confirm_kind import ConfirmKind, ConfirmNetworks
from .confirm_selectors import ConfirmSelectors

CONFIRM_KINDS: Mapping[str, type[ConfirmKind]] = {
    "training": ConfirmNetworks,
    "selector": ConfirmSelectors,
}
"""By `Stage.kind`."""


def confirm_kind(schedule: Schedule) -> ConfirmKind:
    """How a run is confirmed whose schedules deliver what this one does."""
    whole = expand(schedule)
    return CONFIRM_KINDS[whole.stage(whole.deliver).kind]()
