"""The store: what is known already, by key."""

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from dmtsearch.errors import DamagedError
from dmtsearch.store import collect, explain, inventory, lease, objects, progress_slots
from dmtsearch.store.collect import GcReport
from dmtsearch.store.copies import Copies, copies_of
from dmtsearch.store.disk import Disk, translate_os_errors
from dmtsearch.store.explain import Closest, Difference
from dmtsearch.store.inventory import ObjectInfo, Skipped
from dmtsearch.store.lease import Holder, Lease
from dmtsearch.store.manifest import ObjectKind, new_manifest
from dmtsearch.store.objects import Damaged, Newer, StoredObject
from dmtsearch.store.progress_slots import StoredProgress
from dmtsearch.store.verify import VerifyReport, verify_store

_DAY_S = 24 * 3600.0
TRIED_BYTES = 1 << 16
"""Of the file that `check_writable` writes: a full disk may still hold a few bytes."""


class Store:
    """Finished objects, checkpoints and leases below one root. Can be pickled.

    Who may write what, when:

    * `objects/ab/<key>/<attempt>/`: whoever commits, a folder of its own for each try.
    * `objects/ab/<key>/manifest.json`: created last and exclusively, by the first; never changed.
      Only `quarantine` and `gc` remove it, the manifest before the payload.
    * `progress/ab/<key>/<number>-<id>/`: the lease's holder, a new folder for each checkpoint.
    * `leases/<key>.json`: its holder; others once it is not live.
    * `quarantine/<key>-<id>/`: `quarantine`. Nothing reads it; `gc` empties it after its grace.

    Every method raises StoreError where the disk is full, refuses or does not answer.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._copies: Copies | None = copies_of(disk.where, os.environ) if disk.remote else None
        self._watch = lease.LeaseWatch()
        self._thread = threading.local()
        self._leases: dict[str, Lease] = {}

    def __reduce__(self) -> tuple[type["Store"], tuple[Disk]]:
        # What a process knows of copies and leases is not another's.
        return Store, (self._disk,)

    @property
    def where(self) -> str:
        """The root, as a user would write it."""
        return self._disk.where

    @property
    def remote(self) -> bool:
        """Whether each call is a request over a network."""
        return self._disk.remote

    def __repr__(self) -> str:
        return f"Store({self.where!r})"

    def _translated(self, doing: str) -> AbstractContextManager[None]:
        return translate_os_errors(self.where, doing)

    def check_writable(self) -> None:
        """Write a small file as a checkpoint is written, and remove it again.

        Raises:
            StoreError: The store is full, refuses or does not answer.
        """
        key = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
        with self._translated("write a file to try it"):
            files = {"trial": secrets.token_bytes(TRIED_BYTES)}
            known = progress_slots.KnownSlots([] if self._disk.remote else None)
            record = {"name": "a file to try the store"}
            progress_slots.save_progress(self._disk, key, files, record, known)
            progress_slots.drop_progress(self._disk, key, known)

    # Objects

    def find(self, key: str, *, verify: bool = False) -> StoredObject | Damaged | Newer | None:
        """Return what is at `key`: one read, or with `verify` one of each payload file too."""
        with self._translated(f"read object {key[:12]}"):
            return objects.find_object(self._disk, key, verify=verify)

    def get(
        self,
        key: str,
        *,
        verify: bool = False,
        cached: bool = False,
        on_damage: Callable[[str], None] | None = None,
        check: Callable[[StoredObject], None] | None = None,
    ) -> StoredObject | None:
        """Return the object of `key`, done or failed, or None.

        Args:
            key: 64 hex digits.
            verify: Read and compare every payload file now, not only when it is read.
            cached: Of a remote store, a copy on this machine will do; and one is made.
            on_damage: What to do with a damaged object: with a listener it goes to the
                quarantine, the listener gets one sentence saying so, and None is returned. One
                that only a newer dmtsearch can read stays, the listener gets a sentence, and None
                is returned.
            check: Raises ValueError for an object whose record is not one that it can use: such
                an object counts as damaged.

        Raises:
            DamagedError: The object is damaged and there is no listener.
        """
        copies = self._copies if cached and not verify else None
        found: StoredObject | Damaged | Newer | None = None
        if copies is not None:
            found = objects.find_copy(self._disk, key, copies)
        if found is None:
            found = self.find(key, verify=verify)
        if isinstance(found, StoredObject) and check is not None:
            try:
                check(found)
            except ValueError as error:
                found = Damaged(key, str(error), found.attempt, found.seen)
        if isinstance(found, StoredObject):
            self._disk.touch(f"{found.folder}/manifest.json")
            if copies is not None:
                objects.keep_copy(copies, found)
            return replace(found, copies=copies)
        if isinstance(found, Newer):
            if on_damage is not None:
                on_damage(
                    f"stored object {key[:12]} is not used: {found.reason} (it goes to the "
                    "quarantine, whole, once the stage is trained again here)"
                )
        elif found is not None:
            if on_damage is None:
                raise DamagedError(key, found.reason)
            where = self.quarantine(found)
            if where:
                on_damage(f"stored object {key[:12]} is damaged: {found.reason}; moved to {where}")
        return None

    def commit(
        self,
        key: str,
        files: Mapping[str, bytes],
        record: Mapping[str, Any],
        *,
        kind: ObjectKind = "stage",
        preimage: Mapping[str, Any] | None = None,
    ) -> StoredObject:
        """Store an object, whole or not at all, and return what is now at `key`.

        The first to commit a key wins; all others get the winner's object.

        Args:
            key: 64 hex digits.
            files: Payload by name.
            record: Plain JSON about it; `name` is shown by `ls`.
            kind: What it is.
            preimage: What `key` is the sha256 of, as canonical JSON; `explain` compares these.

        Raises:
            StoreError: The disk is full or refuses, and nothing of the try remains; the record is
                no JSON; the pre-image has another hash.
        """
        draft = new_manifest(key, kind, "done", files, record, preimage)
        with self._translated(f"commit object {key[:12]}"):
            done = objects.put_object(self._disk, files, draft)
        if self._copies is not None and done.attempt == draft.attempt:
            # Whoever learns from it on this machine need not fetch it.
            for name, data in files.items():
                self._copies.keep_payload(draft.files[name].sha256, data)
            objects.keep_copy(self._copies, done)
        return done

    def fail(
        self,
        key: str,
        record: Mapping[str, Any],
        *,
        kind: ObjectKind = "stage",
        preimage: Mapping[str, Any] | None = None,
    ) -> StoredObject:
        """Store a failure that would happen again, so that nobody repeats it."""
        draft = new_manifest(key, kind, "failed", {}, record, preimage)
        with self._translated(f"commit the failure of {key[:12]}"):
            return objects.put_object(self._disk, {}, draft)

    def quarantine(self, what: Damaged | Newer | StoredObject) -> str:
        """Move an object to the quarantine, so that its key is free.

        Returns:
            Where it lies now, or "" where another process had moved it already.
        """
        if self._copies is not None:
            self._copies.forget(what.key)
        with self._translated(f"move object {what.key[:12]} to the quarantine"):
            return objects.quarantine_object(self._disk, what)

    # Leases

    def lease(self, key: str, *, ttl_s: float = 60.0, heartbeat_s: float = 10.0) -> Lease | None:
        """Return the right to work on `key`, or None while another live process has it.

        A lease is free whose process is dead on this machine or that its ttl has outlived.
        """
        with self._translated(f"take the lease of {key[:12]}"):
            mine = lease.take_lease(
                self._disk,
                key,
                ttl_s=ttl_s,
                heartbeat_s=heartbeat_s,
                watch=self._watch,
                held=self._thread.__dict__.setdefault("held", []),
            )
        if mine is not None:
            self._leases[key] = mine
        return mine

    def _slots(self, key: str) -> progress_slots.KnownSlots:
        """What is known of a key's checkpoints: nothing without its lease."""
        mine = self._leases.get(key)
        if mine is None or mine.ended:
            self._leases.pop(key, None)
            return progress_slots.KnownSlots()
        return mine.slots

    def holder(self, key: str) -> Holder | None:
        """Return who works on `key`, or None where no live process does."""
        with self._translated(f"read the lease of {key[:12]}"):
            there = lease.read_holder(self._disk, key)
        return there if there is not None and self._watch.is_live(key, there) else None

    def wait(
        self,
        key: str,
        *,
        poll_s: float = 1.0,
        on_wait: Callable[[Holder], None] | None = None,
    ) -> StoredObject | None:
        """Return the object once it is there, or None once nobody works on it.

        Looks every `poll_s` seconds; `on_wait` is called before each pause with who works, and
        may raise to stop waiting.
        """
        while True:
            # The lease first: its holder commits before it releases.
            there = self.holder(key)
            found = self.find(key)
            if isinstance(found, StoredObject):
                return found
            if there is None:
                return None
            if on_wait is not None:
                on_wait(there)
            time.sleep(poll_s)

    def claim(
        self,
        key: str,
        *,
        ttl_s: float = 60.0,
        heartbeat_s: float = 10.0,
        poll_s: float = 1.0,
        on_wait: Callable[[Holder], None] | None = None,
        on_damage: Callable[[str], None] | None = None,
    ) -> StoredObject | Lease:
        """Return the verified object of `key`, or the lease under which to make it.

        Waits while another live process makes it. Arguments as for `get`, `lease` and `wait`.
        """
        while True:
            found = self.get(key, verify=True, on_damage=on_damage)
            if found is not None:
                return found
            mine = self.lease(key, ttl_s=ttl_s, heartbeat_s=heartbeat_s)
            if mine is not None:
                # It may have been finished between the look and the lease.
                try:
                    if not isinstance(self.find(key), StoredObject):
                        return mine
                except BaseException:
                    mine.release()
                    raise
                mine.release()
            else:
                self.wait(key, poll_s=poll_s, on_wait=on_wait)

    # Checkpoints of unfinished stages

    def save_progress(
        self, key: str, files: Mapping[str, bytes], record: Mapping[str, Any]
    ) -> None:
        """Keep a checkpoint of an unfinished stage, and the one before it."""
        with self._translated(f"save a checkpoint of {key[:12]}"):
            progress_slots.save_progress(self._disk, key, files, record, self._slots(key))

    def load_progress(
        self, key: str, *, on_damage: Callable[[str], None] | None = None
    ) -> StoredProgress | None:
        """Return the newest whole checkpoint, read and verified, or None.

        A half-written or damaged one is passed over for the one before it; `on_damage` gets a
        sentence about a damaged one.
        """
        with self._translated(f"load a checkpoint of {key[:12]}"):
            return progress_slots.load_progress(self._disk, key, on_damage, self._slots(key))

    def drop_progress(self, key: str) -> None:
        """Remove all checkpoints of `key`, once its object is committed."""
        with self._translated(f"remove the checkpoints of {key[:12]}"):
            progress_slots.drop_progress(self._disk, key, self._slots(key))

    # The whole

    def ls(self) -> tuple[ObjectInfo, ...]:
        """Return a line for each object and each unfinished stage, oldest first."""
        with self._translated("list it"):
            return inventory.list_objects(self._disk)

    def skipped(self) -> tuple[Skipped, ...]:
        """Return what is passed over: objects of a newer dmtsearch, leases that are none."""
        with self._translated("list it"):
            return inventory.skipped(self._disk)

    def verify(self, *, repair: bool = False) -> VerifyReport:
        """Read every byte and say what is whole; with `repair`, quarantine what is damaged."""
        with self._translated("verify it"):
            return verify_store(self._disk, repair=repair)

    def resolve(self, prefix: str) -> str:
        """Return the one key that begins with `prefix` (6 characters or more)."""
        with self._translated("list it"):
            return explain.resolve(self._disk, prefix)

    def explain(self, left: str, right: str) -> tuple[Difference, ...]:
        """Return every place in which the pre-images of two objects differ.

        A key may be given by its first 6 characters or more.

        Raises:
            StoreError: A key is unknown or ambiguous, or an object has no pre-image.
        """
        with self._translated("read pre-images"):
            images = [explain.preimage_of(self._disk, key) for key in (left, right)]
        return explain.differences(*images)

    def closest(
        self, preimage: Mapping[str, Any], *, kind: ObjectKind = "stage"
    ) -> Closest | None:
        """Return the object whose pre-image differs least, to say why nothing was reused."""
        with self._translated("read pre-images"):
            return explain.closest(self._disk, preimage, kind)

    def other_formats(
        self, preimage: Mapping[str, Any], *, kind: ObjectKind = "stage"
    ) -> dict[int, int]:
        """Count objects on the same data that another version kept, by their format."""
        with self._translated("read pre-images"):
            return explain.other_formats(self._disk, preimage, kind)

    def gc(
        self,
        *,
        keep: Collection[str] | None = None,
        older_than_s: float | None = None,
        max_bytes: int | None = None,
        grace_s: float = _DAY_S,
        unfinished_s: float = 30 * _DAY_S,
        dry_run: bool = False,
    ) -> GcReport:
        """Remove wreckage, and objects by an explicit rule; nothing under a live lease.

        Args:
            keep: Keys that stay whatever happens; alone, all others go.
            older_than_s: Objects not used for this many seconds go.
            max_bytes: The least recently used go until the rest is no bigger.
            grace_s: Wreckage, checkpoints of finished stages and the quarantine stay this long.
            unfinished_s: Checkpoints of unfinished stages stay this long.
            dry_run: Only say what would go.
        """
        rule = collect.Rule(keep, older_than_s, max_bytes, grace_s, unfinished_s)
        with self._translated("collect garbage"):
            return collect.collect(self._disk, rule, dry_run=dry_run)
