"""Connect to Ray: a private one on this machine, or a cluster that is there already."""

import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..store.process import Process, is_dead, this_process
from . import reaper
from .crashes import sweep_ends
from .environment import LOCAL, advise_own_ray, connected

STARTS = 2
"""A private Ray that does not come up on a busy machine is started once more."""
QUIET_S = 10.0
"""A cluster that has been silent for so long is looked at more closely."""
OBJECT_STORE_BYTES = 256 << 20
"""Of a private Ray: nothing large goes through it, weights lie in the store."""


@contextmanager
def ray_at(address: str, *, num_cpus: int | None = None) -> Iterator[None]:
    """Be connected to the Ray at `address` (`local`: a private one, ended afterwards).

    A connection that is there already (a notebook's) is used as it is, and left.

    Args:
        address: `local`, `auto`, or host:port.
        num_cpus: Of a private Ray; the machine's if None.

    Raises:
        UsageError: The cluster cannot be reached, or runs other versions.
    """
    if connected():
        yield
        return
    import ray

    with ExitStack() as stack:
        if address == LOCAL:
            stack.enter_context(reaped(_sessions()))
        for attempt in range(STARTS):
            try:
                _connect(address, num_cpus)
                break
            except Exception as error:  # Ray raises plain ones too
                with suppress(Exception):
                    ray.shutdown()  # what has started of it
                if address != LOCAL or attempt + 1 == STARTS:
                    raise UsageError(_advice(address, error)) from error
        if address == LOCAL:
            _OWN[:] = [session_folder()]
            stack.callback(_OWN.clear)
        try:
            yield
        finally:
            with suppress(Exception):  # the search has ended; what Ray says now helps nobody
                ray.shutdown()


_OWN: list[Path] = []
"""The session of the private Ray that this process has started."""


def own_session() -> Path | None:
    """Folder of this process's private Ray; None where Ray is a cluster's, or a notebook's."""
    return _OWN[0] if _OWN else None


def _sessions() -> Path:
    """Where a Ray of this machine's own makes the folders of its sessions."""
    from ray._common.utils import get_default_ray_temp_dir

    return Path(get_default_ray_temp_dir())  # type: ignore[no-untyped-call]  # Ray leaves it untyped


def session_folder() -> Path:
    """Of the Ray that this process is connected to."""
    return Path(_node().get_session_dir_path())


def lost_part(silent_s: float) -> str | None:
    """Which process of Ray's on this machine has ended under the search, if one has.

    Asks nothing of Ray, which answers nobody by then: it looks at the processes of a private Ray,
    and at the socket of a cluster's raylet.

    Args:
        silent_s: Seconds since the cluster was heard; one that answers is not looked at.
    """
    node = _node()
    if node is None:  # Ray has been shut down meanwhile
        return None
    if own_session() is not None:
        dead = {kind for kind, _ in node.dead_processes()}
        return next((name for kind, name in _PARTS.items() if kind in dead), None)
    if silent_s < QUIET_S:
        return None
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as there:
        there.settimeout(1.0)
        try:
            there.connect(node.raylet_socket_name)
        except (ConnectionRefusedError, FileNotFoundError):
            return _PARTS["raylet"]
        except OSError:
            return None
    return None


_PARTS = {"raylet": "the raylet of this machine", "gcs_server": "its head (gcs_server)"}


def _node() -> Any:
    from ray._private import worker

    return worker._global_node


def _connect(address: str, num_cpus: int | None) -> None:
    import ray

    options: dict[str, Any] = {
        "configure_logging": False,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
    }
    if address == LOCAL:
        options |= {
            "num_cpus": num_cpus,
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    with _on_loopback() if address == LOCAL else nullcontext():
        ray.init(address=address, **options)


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let a Ray that starts meanwhile listen on 127.0.0.1 alone, out of reach of other machines.

    Ray does so by itself where it forms no clusters (macOS, Windows), and has no option for it:
    `_node_ip_address="127.0.0.1"` is replaced by the machine's own address.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _advice(address: str, error: Exception) -> str:
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if address == LOCAL:
        return f"Ray cannot start on this machine: {first}"
    if "ersion mismatch" in str(error):
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return (
            f"the Ray cluster at {address} runs other versions than this machine: "
            f"{' '.join(lines)[:400]}; install the same versions on both"
        )
    if "uthentication" in str(error):
        return (
            f"the Ray cluster at {address} requires a token that this machine does not have: copy "
            "~/.ray/auth_token from its head, or set RAY_AUTH_TOKEN"
        )
    return (
        f"no Ray cluster can be joined at {address}: {first}; run the search on a machine of the "
        f"cluster, look at `ray status` there, {advise_own_ray(address, os.environ)}"
    )


_PREFIX = "dmtsearch-tune-"
_SESSION = "ray_session"
WAIT_S = 5.0
"""What a Ray that was shut down has left is gone in less."""


def _own_prefix() -> str:
    """Of this process's folders: no other process, earlier or later, has the same."""
    me = this_process()
    return f"{_PREFIX}{me.machine}-{me.pid}-{me.started}-"


@contextmanager
def temporary_folder(session: Path | None) -> Iterator[Path]:
    """A folder for Tune. What dead processes of this machine left is cleared up before and after.

    Args:
        session: Folder of this driver's private Ray; None where Ray is not its own.
    """
    sweep()
    sweep_ends()
    try:
        with tempfile.TemporaryDirectory(prefix=_own_prefix(), ignore_cleanup_errors=True) as name:
            if session is not None:
                Path(name, _SESSION).write_text(str(session))
            yield Path(name)
    finally:
        sweep_ends()


@contextmanager
def reaped(sessions: Path) -> Iterator[None]:
    """Let a process of its own end a private Ray when this one has not, and only then.

    To be entered before Ray is started, since a driver may be killed while it starts; to be left
    once Ray has been shut down: some processes of Ray's linger even so.

    Args:
        sessions: The folder in which Ray makes those of its sessions.
    """
    waiting = _start_reaper(sessions)
    try:
        yield
    finally:
        if waiting is not None and waiting.stdin is not None:
            with suppress(OSError):
                waiting.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                waiting.wait(WAIT_S)


def _start_reaper(sessions: Path) -> "subprocess.Popen[bytes] | None":
    if not Path("/proc/self/fd").is_dir():
        return None  # no way to find a session's processes here
    since = datetime.now().strftime("session_%Y-%m-%d_%H-%M-%S_%f")
    words = [str(os.getpid()), str(sessions), since, tempfile.gettempdir(), _own_prefix()]
    with suppress(OSError):
        return subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # Ctrl-C at the terminal is not for it
        )
    return None


def sweep() -> None:
    """Clear up after drivers of this machine that are dead; whatever is not surely so stays."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*-*-*"):
        machine, pid, started, *_ = folder.name.removeprefix(_PREFIX).split("-")
        if not (pid.isdigit() and started.isdigit() and folder.is_dir()):
            continue
        if is_dead(Process("", machine, int(pid), int(started))):
            with suppress(OSError):
                reaper.end_session(Path((folder / _SESSION).read_text()))
            shutil.rmtree(folder, ignore_errors=True)
