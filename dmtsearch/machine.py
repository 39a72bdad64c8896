"""What the machine has that runs this process."""

import os
import platform


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


INSTRUCTIONS = (("amx_tile", "AMX"), ("avx512f", "AVX-512"), ("avx2", "AVX2"), ("asimd", "NEON"))
"""Linux's word for what PyTorch's kernels are chosen by, and the usual one; the widest first."""


def cpu_name() -> str:
    """Return what this machine's processor is called: `AMD EPYC`."""
    return _cpu_facts().get("model name") or platform.processor() or platform.machine()


def processor() -> str:
    """Return this machine's processor by name and widest instructions: `AMD EPYC, AVX-512`."""
    facts = _cpu_facts()
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    widest = [word for flag, word in INSTRUCTIONS if flag in flags]
    return ", ".join([cpu_name(), *widest[:1]])


def _cpu_facts() -> dict[str, str]:
    """What Linux says of a core; empty elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            pairs = [line.partition(":") for line in lines]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in pairs}


def slots_here() -> int:
    """Stages of one CPU that run at once on this machine."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on macOS
        return max(1, os.cpu_count() or 1)
