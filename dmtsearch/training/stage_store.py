"""What running a stage asks of a store, and the two ways in which it asks.

Stages know a store by these protocols alone, so that they run the same on a disk, on object
storage, in a search and without one.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, TypeVar

from dmtsearch.errors import DamagedError

T = TypeVar("T")

ObjectKind = Literal["stage", "hint_phase", "snapshot"]


class KeptObject(Protocol):
    """A finished object: a record, and payload by name, verified when read."""

    @property
    def failed(self) -> bool: ...
    @property
    def record(self) -> dict[str, Any]: ...
    def read(self, name: str) -> bytes: ...
    def digest(self, name: str) -> str: ...


class KeptCheckpoint(Protocol):
    """A checkpoint, verified."""

    @property
    def files(self) -> Mapping[str, bytes]: ...


class StageStore(Protocol):
    """What running a stage asks of a store."""

    @property
    def remote(self) -> bool:
        """Whether writing waits for a network."""

    def get(
        self,
        key: str,
        *,
        verify: bool = False,
        cached: bool = False,
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
    looked: bool = False,
    absent: Callable[[bool], bool] = lambda fresh: False,
) -> T:
    """Look for an object; make it under a lease if it is not there; wait while another does.

    Args:
        store: The store.
        key: Of the object.
        look: Returns it, or None where it has to be made.
        make: Makes and commits it.
        on_wait: Called once, when this process begins to wait for another.
        looked: Whether the caller has just looked, and it was not there.
        absent: Asked under the lease: whether it is known without a look that it is not there.
            Given whether nobody had left a lease, as who made it a moment ago would have.
    """
    waited = False
    while True:
        found = None if looked else look()
        if found is not None:
            return found
        lease = store.lease(key)
        if lease is not None:
            with lease as mine:
                # It may have been committed between the look and the lease.
                found = None if absent(getattr(mine, "fresh", False)) else look()
                return found if found is not None else make()
        if not waited:
            on_wait()
            waited = True
        looked = False
        store.wait(key)
        time.sleep(0.2)


def read_kept(
    store: StageStore,
    key: str,
    name: str,
    *,
    notify: Callable[[str], None],
    check: Callable[[KeptObject], None] | None = None,
) -> tuple[KeptObject, bytes] | None:
    """An object with one of its files, from a copy on this machine where there is one.

    Args:
        store: The store.
        key: Of the object.
        name: Of the file.
        notify: Given a sentence about what is damaged, and was quarantined.
        check: As `StageStore.get` takes it.

    Returns:
        None where it is gone or damaged. Of a stored failure the bytes are empty.
    """
    found = store.get(key, cached=True, on_damage=notify, check=check)
    if found is None or found.failed:
        return None if found is None else (found, b"")
    try:
        return found, found.read(name)
    except DamagedError:
        store.get(key, verify=True, on_damage=notify)
        return None


class KeyedWorkspace:
    """Checkpoints of one key in a store; in a remote one, written beside the training.

    One at a time: a save waits for the one before it. What a save met is raised by the next one,
    or by `finish`, without which nothing is sure to be kept.
    """

    def __init__(
        self, store: StageStore, key: str, name: str, notify: Callable[[str], None]
    ) -> None:
        self._store, self._key, self._name, self._notify = store, key, name, notify
        self._writing: threading.Thread | None = None
        self._error: BaseException | None = None

    def load(self) -> Mapping[str, bytes] | None:
        """The last whole checkpoint's files, or None."""
        found = self._store.load_progress(self._key, on_damage=self._notify)
        if found is None:
            return None
        self._notify(f"{self._name}: going on from its last checkpoint")
        return found.files

    def save(self, files: Mapping[str, bytes]) -> None:
        """Begin to write a checkpoint; the one before it is kept until this one is whole."""
        self.finish()
        if not self._store.remote:
            self._store.save_progress(self._key, files, {"name": self._name})
            return
        self._writing = threading.Thread(
            target=self._write, args=(files,), name=f"checkpoint-{self._key[:8]}", daemon=True
        )
        self._writing.start()

    def finish(self) -> None:
        """Return once what was saved is kept.

        Raises:
            StoreError: The store is full, refuses or does not answer.
        """
        if self._writing is not None:
            self._writing.join()
            self._writing = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _write(self, files: Mapping[str, bytes]) -> None:
        try:
            self._store.save_progress(self._key, files, {"name": self._name})
        except BaseException as error:
            self._error = error
