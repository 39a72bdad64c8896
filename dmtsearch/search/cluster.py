"""Connect to Ray: a private one on this machine, or a cluster that stands."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..errors import UsageError
from .settings import LOCAL, advise_own_ray, connected

STARTS = 2
"""A private Ray that does not come up on a busy machine is started once more."""
OBJECT_STORE_BYTES = 256 << 20
"""Of a private Ray: nothing large goes through it, weights lie in the store."""


@contextmanager
def ray_at(address: str, *, num_cpus: int | None = None) -> Iterator[None]:
    """Be connected to the Ray at `address` (`local`: a private one, ended afterwards).

    A connection that stands already (a notebook's) is used as it is, and left.

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

    for attempt in range(STARTS):
        try:
            _connect(address, num_cpus)
            break
        except Exception as error:  # Ray raises plain ones too
            with suppress(Exception):
                ray.shutdown()  # what has started of it
            if address != LOCAL or attempt + 1 == STARTS:
                raise UsageError(_advice(address, error)) from error
    try:
        yield
    finally:
        with suppress(Exception):  # the search has ended; what Ray says now helps nobody
            ray.shutdown()


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
    ray.init(address=address, **options)


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
            f"the Ray cluster at {address} asks for a token that this machine does not have: copy "
            "~/.ray/auth_token from its head, or set RAY_AUTH_TOKEN"
        )
    return (
        f"no Ray cluster can be joined at {address}: {first}; run the search on a machine of the "
        f"cluster, look at `ray status` there, {advise_own_ray(address, os.environ)}"
    )
