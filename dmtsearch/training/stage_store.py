"""What running a stage asks of a store, and the two ways in which it asks.

Stages know a store by these protocols alone, so that they run the same on a disk, on object
storage, in a search and without one.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, TypeVar

T = TypeVar("T")

ObjectKind = Literal["stage", "hint_phase", "snapshot"]


class KeptObject(Protocol):
    """A finished object: a record, and payload by name, verified when read."""

    @property
    def failed(self) -> bool: ...
    @property
    def record(self) -> dict[str, Any]: ...
    def read(self, name: str) -> bytes: ...


class KeptCheckpoint(Protocol):
    """A checkpoint, verified."""

    @property
    def files(self) -> Mapping[str, bytes]: ...


class StageStore(Protocol):
    """What running a stage asks of a store."""

    def get(
        self,
        key: str,
        *,
        verify: bool = False,
        on_damage: Callable[[str], None] | None = None,
        check: Callable[[KeptObject], None] | None = None,
    ) -> KeptObject | None: ...

    def commit(
        self,
        key: str,
        files: Mapping[str, bytes],
        record: Mapping[str, Any],
        *,
        kind: ObjectKind = "stage",
        preimage: Mapping[str, Any] | None = None,
    ) -> KeptObject: ...

    def fail(
        self,
        key: str,
        record: Mapping[str, Any],
        *,
        kind: ObjectKind = "stage",
        preimage: Mapping[str, Any] | None = None,
    ) -> KeptObject: ...

    def lease(self, key: str) -> AbstractContextManager[object] | None: ...
    def wait(self, key: str, *, on_wait: Callable[[Any], None] | None = None) -> object: ...
    def save_progress(
        self, key: str, files: Mapping[str, bytes], record: Mapping[str, Any]
    ) -> None: ...
    def load_progress(
        self, key: str, *, on_damage: Callable[[str], None] | None = None
    ) -> KeptCheckpoint | None: ...
    def drop_progress(self, key: str) -> None: ...


def once(
    store: StageStore,
    key: str,
    *,
    look: Callable[[], T | None],
    make: Callable[[], T],
    on_wait: Callable[[], None],
) -> T:
    """Look for an object; make it under a lease if it is not there; wait while another does.

    Args:
        store: The store.
        key: Of the object.
        look: Returns it, or None where it has to be made.
        make: Makes and commits it.
        on_wait: Called once, when this process begins to wait for another.
    """
    waited = False
    while True:
        found = look()
        if found is not None:
            return found
        lease = store.lease(key)
        if lease is not None:
            with lease:
                found = look()  # it may have been committed between the look and the lease
                return found if found is not None else make()
        if not waited:
            on_wait()
            waited = True
        store.wait(key)
        time.sleep(0.2)


class KeyedWorkspace:
    """Checkpoints of one key in a store."""

    def __init__(
        self, store: StageStore, key: str, name: str, notify: Callable[[str], None]
    ) -> None:
        self._store, self._key, self._name, self._notify = store, key, name, notify

    def load(self) -> Mapping[str, bytes] | None:
        """The last whole checkpoint's files, or None."""
        found = self._store.load_progress(self._key, on_damage=self._notify)
        if found is None:
            return None
        self._notify(f"{self._name}: going on from its last checkpoint")
        return found.files

    def save(self, files: Mapping[str, bytes]) -> None:
        """Write a checkpoint; the one before it is kept until this one is whole."""
        self._store.save_progress(self._key, files, {"name": self._name})
