"""Leases: who works on a key, so that two processes do not do the same work.

A lease saves work and nothing else. That a result is right does not depend on it, since the
first commit wins and all later ones are thrown away.

Clocks of machines differ. A lease of this machine is as old as it says; one of another machine is
silent once whoever waits for it has seen it unchanged for its ttl by his own clock.
"""

import json
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from types import TracebackType

from pydantic import Field, ValidationError

from dmtsearch.errors import UsageError
from dmtsearch.fields import StrictModel, describe_problems
from dmtsearch.store import paths
from dmtsearch.store.disk import Disk, OddFileError
from dmtsearch.store.process import Process, is_dead, is_here, this_process
from dmtsearch.store.progress_slots import KnownSlots

MAX_TTL_S = 7 * 24 * 3600.0
"""A lease for longer is none: work done twice is better than work that nobody may do."""
_MAX_BYTES = 1 << 20
CLOCKS_S = 3600.0
"""A single look believes another machine's clock to this many seconds."""
_GAP_S = 15.0
"""Who has not looked for so long, perhaps since the store was away, begins to watch anew."""


@dataclass(frozen=True)
class Holder:
    """What a lease file says.

    Args:
        process: Who works.
        token: A new one for each lease.
        renewed: Last heartbeat, in Unix seconds of the holder's clock.
        ttl_s: Seconds without heartbeat after which the lease is free.
    """

    process: Process
    token: str
    renewed: float
    ttl_s: float

    @property
    def live(self) -> bool:
        """False when its process is dead, or its last heartbeat is surely older than `ttl_s`.

        Of another machine, whose clock may differ, it is true for longer: see `LeaseWatch`. A
        heartbeat from the far future counts as none: work done twice is better than work that
        nobody may do.
        """
        allowed_s = self.ttl_s + (0.0 if is_here(self.process) else CLOCKS_S)
        return abs(time.time() - self.renewed) <= allowed_s and not is_dead(self.process)


@dataclass(frozen=True)
class _Sight:
    """A lease as it was seen: which heartbeat, first and last at which moment of our clock."""

    token: str
    renewed: float
    first_s: float
    last_s: float


class LeaseWatch:
    """What a process has seen of leases that others hold."""

    def __init__(self) -> None:
        self._seen: dict[str, _Sight] = {}

    def is_live(self, key: str, holder: Holder) -> bool:
        """Whether a lease that was just read is held, as far as this process can know."""
        if is_here(holder.process) or not holder.live:
            self._seen.pop(key, None)
            return holder.live
        now_s, seen = time.monotonic(), self._seen.get(key)
        same = seen is not None and (seen.token, seen.renewed) == (holder.token, holder.renewed)
        if seen is None or not same or now_s - seen.last_s > _GAP_S:
            seen = _Sight(holder.token, holder.renewed, now_s, now_s)
        self._seen[key] = replace(seen, last_s=now_s)
        return now_s - seen.first_s <= holder.ttl_s


class _ProcessFields(StrictModel):
    host: str
    machine: str
    pid: int = Field(ge=1)
    started: int


class _Fields(StrictModel):
    """The fields of a lease file, with the type of each; fields are only ever added."""

    process: _ProcessFields
    token: str
    renewed: float
    ttl_s: float = Field(gt=0, le=MAX_TTL_S)


class BadLeaseError(ValueError):
    """A lease file says nothing that can be used; the text says why."""


def read_holder(disk: Disk, key: str) -> Holder | None:
    """Return what the lease file of `key` says, or None where there is none that can be read."""
    try:
        return decode_holder(disk.read(paths.lease(paths.check_key(key)), limit=_MAX_BYTES))
    except (FileNotFoundError, OddFileError, BadLeaseError):
        return None  # half a file: its writer was stopped, or its file system is not atomic


def decode_holder(data: bytes) -> Holder:
    """Return what the bytes of a lease file say.

    Raises:
        BadLeaseError: They are no lease; the text names the field.
    """
    try:
        fields = _Fields.model_validate_json(data)
    except ValidationError as error:
        raise BadLeaseError(f"it is no lease: {describe_problems(error)}") from None
    process = Process(**dict(fields.process))
    return Holder(process, fields.token, fields.renewed, fields.ttl_s)


def bad_lease(disk: Disk, key: str) -> str | None:
    """Return why the lease file of `key` cannot be read, or None where it can or there is none."""
    try:
        decode_holder(disk.read(paths.lease(paths.check_key(key)), limit=_MAX_BYTES))
    except FileNotFoundError:
        return None
    except (OddFileError, BadLeaseError) as error:
        return str(error)
    return None


def _encode(holder: Holder) -> bytes:
    return json.dumps(asdict(holder)).encode()


class Lease:
    """The right to work on a key, renewed by a daemon thread until it is released.

    Only its holder writes and removes the file; another process does once the lease is not live.
    Use as a context manager.

    On a remote store the file of a lease that was taken under another one is removed together with
    that one's, by one request; and the file of a stage that leaves checkpoints stays, as one that
    is not live: so where no file was, no checkpoint is looked for.

    Args:
        disk: The store's.
        key: Of what is worked on.
        holder: What the file says.
        heartbeat_s: Seconds between renewals.
        fresh: On a remote store: nobody had left a lease there.
        held: Leases of this thread, the innermost last; this one is added.
    """

    def __init__(
        self,
        disk: Disk,
        key: str,
        holder: Holder,
        heartbeat_s: float,
        *,
        fresh: bool = False,
        held: "list[Lease] | None" = None,
    ) -> None:
        self.key, self.fresh = key, fresh
        self.slots = KnownSlots([] if fresh else None)
        # The next heartbeat is the next try.
        self._disk, self._holder, self._heartbeat_s = disk.impatient(), holder, heartbeat_s
        self._held = [] if held is None else held
        self._outer = self._held[-1] if self._held else None
        self._held.append(self)
        self._also: list[str] = []
        self._renewed = time.monotonic()
        self._lost = False
        self._renewing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{key[:8]}", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """True once it is released."""
        return self._stop.is_set()

    @property
    def lost(self) -> bool:
        """True when another process holds the key: after a pause longer than the ttl.

        What was computed is still right and may be committed; going on is waste.
        """
        if time.monotonic() - self._renewed > 2 * self._heartbeat_s:
            self._renew()  # this process was paused, or its disk was away
        return self._lost

    def release(self) -> None:
        """Stop the heartbeat and remove the lease file if it is still one's own."""
        self._stop.set()
        self._thread.join()
        if self in self._held:
            self._held.remove(self)
        path = paths.lease(self.key)
        # A disk that is away needs no answer: the lease ends by itself.
        with suppress(OSError), self._disk.guard(paths.GUARD):
            # Within its ttl nobody else takes it; a request is saved.
            recent = time.monotonic() - self._renewed < self._holder.ttl_s / 2
            is_mine = not self._lost if self._disk.remote and recent else self._is_mine()
            if not self._disk.remote:
                if is_mine:
                    self._disk.remove(path)
                return
            if is_mine and self.slots.some:
                self._disk.replace(path, _encode(replace(self._holder, renewed=0.0)))
            elif is_mine:
                self._also.append(path)
            if self._also and self._outer is not None and not self._outer.ended:
                self._outer._also.extend(self._also)
            elif self._also:
                self._disk.remove_all(self._also)

    def __enter__(self) -> "Lease":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _is_mine(self) -> bool:
        there = read_holder(self._disk, self.key)
        return there is not None and there.token == self._holder.token

    def _beat(self) -> None:
        while not self._stop.wait(self._heartbeat_s) and not self._lost:
            self._renew()

    def _renew(self) -> None:
        with self._renewing, suppress(OSError), self._disk.guard(paths.GUARD):
            if self._stop.is_set():
                return
            if not self._is_mine():
                self._lost = True
                return
            self._holder = replace(self._holder, renewed=time.time())
            self._disk.replace(paths.lease(self.key), _encode(self._holder))
            self._renewed = time.monotonic()


def take_lease(
    disk: Disk,
    key: str,
    *,
    ttl_s: float,
    heartbeat_s: float,
    watch: LeaseWatch,
    held: list[Lease],
) -> Lease | None:
    """Return a lease on `key`, or None while another process (or thread) holds a live one.

    Args:
        disk: The store's.
        key: Of what is to be worked on.
        ttl_s, heartbeat_s: As `Store.lease` has them.
        watch: What this process has seen of others' leases.
        held: This thread's leases.

    Raises:
        UsageError: The heartbeat is not shorter than the ttl, or the ttl longer than a week.
    """
    if not 0 < heartbeat_s < ttl_s:
        raise UsageError(
            f"a lease needs 0 < heartbeat_s < ttl_s, got heartbeat {heartbeat_s}, ttl {ttl_s}"
        )
    if ttl_s > MAX_TTL_S:
        raise UsageError(f"a lease ends after at most {MAX_TTL_S:.0f} s, got ttl {ttl_s}")
    path = paths.lease(paths.check_key(key))
    holder = Holder(this_process(), secrets.token_hex(8), time.time(), ttl_s)
    fresh = disk.remote
    with disk.guard(paths.GUARD):
        try:
            disk.create(path, _encode(holder), durable=False)
        except FileExistsError:
            fresh = False
            there = read_holder(disk, key)
            if there is not None and watch.is_live(key, there):
                return None
            disk.replace(path, _encode(holder))
            # Without a real guard two may have come this far: the last to write has it.
            written = read_holder(disk, key)
            if written is None or written.token != holder.token:
                return None
    return Lease(disk, key, holder, heartbeat_s, fresh=fresh, held=held)
