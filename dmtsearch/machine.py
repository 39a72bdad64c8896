"""What the machine has that runs this process."""

import os


def free_memory() -> int | None:
    """Return the bytes of main memory that processes may still take here, or None where the
    system does not say."""
    try:
        with open("/proc/meminfo") as lines:
            found = next((line for line in lines if line.startswith("MemAvailable:")), "")
        return int(found.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None


def physical_memory() -> int | None:
    """Return the bytes of main memory of this machine, or None where the system does not say."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
    return found if found > 0 else None


def slots_here() -> int:
    """Stages of one CPU that run at once on this machine."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on macOS
        return max(1, os.cpu_count() or 1)
