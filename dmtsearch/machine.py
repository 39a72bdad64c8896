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


def processor() -> str:
    """Return this machine's kind of processor and its widest instructions: `AMD EPYC, AVX-512`."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            said = dict(line.strip().partition(":")[::2] for line in lines)
    except (OSError, UnicodeDecodeError):
        return platform.processor() or platform.machine()
    facts = {name.strip(): value.strip() for name, value in said.items()}
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    widest = next((word for flag, word in INSTRUCTIONS if flag in flags), "")
    return ", ".join(filter(None, (facts.get("model name") or platform.machine(), widest)))


def slots_here() -> int:
    """Stages of one CPU that run at once on this machine."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on macOS
        return max(1, os.cpu_count() or 1)
