"""Leases: who works on a key, so that two processes do not do the same work.

A lease saves work and nothing else. That a result is right does not depend on it, since the
first commit wins and all later ones are thrown away.
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
from dmtsearch.store.process import Process, is_dead, this_process

MAX_TTL_S = 7 * 24 * 3600.0
"""A lease for longer is none: work done twice is better than work that nobody may do."""
_MAX_BYTES = 1 << 20


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
        """False when its process is dead, or its last heartbeat is older than `ttl_s`.

        A heartbeat from the far future counts as none: clocks differ, and work done twice is
        better than work that nobody may do.
        """
        return abs(time.time() - self.renewed) <= self.ttl_s and not is_dead(self.process)


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
    """

    def __init__(self, disk: Disk, key: str, holder: Holder, heartbeat_s: float) -> None:
        self.key = key
        self._disk, self._holder, self._heartbeat_s = disk, holder, heartbeat_s
        self._renewed = time.monotonic()
        self._lost = False
        self._renewing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{key[:8]}", daemon=True)
        self._thread.start()

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
        # A disk that is away needs no answer: the lease ends by itself.
        with suppress(OSError), self._disk.guard(paths.GUARD):
            if self._is_mine():
                self._disk.remove(paths.lease(self.key))

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


def take_lease(disk: Disk, key: str, *, ttl_s: float, heartbeat_s: float) -> Lease | None:
    """Return a lease on `key`, or None while another process (or thread) holds a live one.

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
    with disk.guard(paths.GUARD):
        try:
            disk.create(path, _encode(holder), durable=False)
        except FileExistsError:
            there = read_holder(disk, key)
            if there is not None and there.live:
                return None
            disk.replace(path, _encode(holder))
            # Without a real guard two may have come this far: the last to write has it.
            written = read_holder(disk, key)
            if written is None or written.token != holder.token:
                return None
    return Lease(disk, key, holder, heartbeat_s)
