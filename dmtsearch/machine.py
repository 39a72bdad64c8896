"""What the machine has that runs this process."""

import os


def physical_memory() -> int | None:
    """Return the bytes of main memory of this machine, or None where the system does not say."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    return found if found > 0 else None
