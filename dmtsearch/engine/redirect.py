"""Ray's own output goes to `driver.log`; what a user reads has a stream of its own."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from .run_paths import RunPaths


@contextmanager
def output_in(log: Path) -> Iterator[tuple[TextIO, TextIO]]:
    """Send what this process and its children print to `log`; give (standard output, the log).

    Both the streams of Python and the files behind them are turned, since Ray's core and its
    processes write to the latter. They are put back at the end.
    """
    with _open_log(log) as file:
        saved_out, saved_err = sys.stdout, sys.stderr
        for stream in (saved_out, saved_err):
            with suppress(OSError, ValueError):
                stream.flush()
        kept = {number: _duplicate(number) for number in (1, 2)}
        screen = _screen(saved_out, kept[1])
        try:
            for number, copy in kept.items():
                if copy is not None:
                    os.dup2(file.fileno(), number)
            sys.stdout = sys.stderr = file
            yield screen, file
        finally:
            sys.stdout, sys.stderr = saved_out, saved_err
            with suppress(OSError, ValueError):
                screen.flush()
            for number, copy in kept.items():
                if copy is not None:
                    os.dup2(copy, number)
                    os.close(copy)
            if screen is not saved_out:
                screen.close()


@contextmanager
def log_in(log: Path) -> Iterator[tuple[TextIO, TextIO]]:
    """Give (standard output, `log`): what this process prints goes where it always did.

    For stages that run in this process: a debugger's prompt must reach the user.
    """
    with _open_log(log) as file:
        yield sys.stdout, file


class _Log(io.FileIO):
    """A file that loses lines where the disk is full: no log is worth a search."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def _open_log(log: Path) -> TextIO:
    with RunPaths(log.parent).writing():
        raw = _Log(log, "a")
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors="replace", line_buffering=True
    )


def _duplicate(number: int) -> int | None:
    try:
        return os.dup(number)
    except OSError:
        return None  # a process without standard streams


def _screen(stream: TextIO, copy: int | None) -> TextIO:
    """Where the user reads: the terminal behind standard output, or what replaces it."""
    try:
        is_file = stream.fileno() == 1
    except (OSError, ValueError, AttributeError):
        is_file = False  # a notebook, or a test's buffer
    if not is_file or copy is None:
        return stream
    return os.fdopen(os.dup(copy), "w", buffering=1, encoding=stream.encoding, errors="replace")
