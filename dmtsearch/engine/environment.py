"""Which backend, what is set before Ray is imported, and where Ray is: rules without Ray."""

import os
import socket
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import UsageError

RAY = "ray"
"""The backend whose trials run on Ray: several at once, on one machine or many."""
INLINE = "inline"
"""The backend whose stages run in this process, one at a time."""
VARIABLE = "RAY_ADDRESS"
LOCAL = "local"
"""A private Ray on this machine, for this run."""

ALWAYS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # five files a trial
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the ledger is the truth, not Tune's state
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
START_S = "120"
"""On a busy machine Ray's own 30 seconds for the start of its first process are too few."""
REACH_S = 5.0
"""A cluster's head must answer a connection within so long."""


def choose_address(given: str | None, environment: Mapping[str, str]) -> str:
    """Where Ray is: the address given, else RAY_ADDRESS, else a private Ray on this machine.

    Raises:
        UsageError: A `ray://` address.
    """
    address = given or environment.get(VARIABLE) or LOCAL
    if "://" in address:
        raise UsageError(
            f"the address {address}{_origin(given, address, environment)} is one of Ray Client, "
            "through which a search cannot run: start it on a machine of the cluster with "
            "--address auto, or give host:port of the head (usually port 6379)"
        )
    return address


def _origin(given: str | None, address: str, environment: Mapping[str, str]) -> str:
    return f" (from {VARIABLE})" if not given and environment.get(VARIABLE) == address else ""


def advise_own_ray(address: str, environment: Mapping[str, str]) -> str:
    """How to search on a Ray of this machine's own instead of the cluster at `address`.

    Where RAY_ADDRESS names the cluster, leaving --address out would lead there again.
    """
    if environment.get(VARIABLE) != address:
        return "or leave --address out for a Ray of this machine's own"
    return (
        f"or, as this address is that of the environment variable {VARIABLE}, `unset {VARIABLE}` "
        "(or give --address local) for a Ray of this machine's own"
    )


def prepare_environment(address: str, environment: MutableMapping[str, str]) -> None:
    """Set what Ray and Tune read when they are imported, or start."""
    environment.update(ALWAYS)
    # A cluster that requires no token takes one all the same; one that does has made one here.
    # A Ray that this process has imported before has read the setting, and makes its own choice.
    if "ray" not in sys.modules and (address == LOCAL or _has_token(environment)):
        environment.setdefault("RAY_AUTH_MODE", "token")
    if address == LOCAL:
        for part in ("gcs_server_port", "raylet_start"):
            environment.setdefault(f"RAY_{part}_wait_time_s", START_S)


def _has_token(environment: Mapping[str, str]) -> bool:
    if environment.get("RAY_AUTH_TOKEN") or environment.get("RAY_AUTH_TOKEN_PATH"):
        return True
    home = environment.get("HOME")
    return home is not None and Path(home, ".ray", "auth_token").is_file()


def refuse_unreachable(address: str) -> None:
    """Refuse a head that does not take a connection, within seconds.

    Raises:
        UsageError: Names the address and what to look at.
    """
    if address == LOCAL:
        return
    given = address
    if address == "auto":
        found = _latest_cluster()
        if found is None:
            return  # Ray says so itself
        address = found
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or port is None:
        raise UsageError(
            f"the address {address!r}{_origin(None, address, os.environ)} is none; give "
            "host:port, `auto`, or `local`"
        )
    try:
        socket.create_connection((host, port), timeout=REACH_S).close()
    except OSError as error:
        raise UsageError(
            f"no Ray cluster answers at {address} ({error.strerror or error})"
            f"{', the last that this machine was part of' if given == 'auto' else ''}: look at "
            f"`ray status` on its head, {advise_own_ray(given, os.environ)}"
        ) from error


def _latest_cluster() -> str | None:
    """What Ray takes `auto` for: a cluster of this machine that runs, else the last that did."""
    from ray._private import services

    try:
        found: str | None = services.get_ray_address_from_environment("auto", None)
    except ConnectionError:
        return None
    return found


def connected() -> bool:
    """Whether this process is connected to a Ray already: a notebook, or a test."""
    ray = sys.modules.get("ray")
    return bool(ray is not None and ray.is_initialized())


def here() -> str:
    """The folder that relative paths and factories start from."""
    return os.getcwd()
