"""A context that a second thread enters and leaves, while the first one goes on."""

import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import TracebackType


class Beside:
    """Lets a second thread enter a context, stay, and leave it at this one's end.

    It stays, since Linux may end what a thread has started when the thread ends
    (`PR_SET_PDEATHSIG`, which Ray sets for its processes).

    Args:
        context: What takes long to enter, mostly to wait.
    """

    def __init__(self, context: AbstractContextManager[object]) -> None:
        self._context = context
        self._entered = threading.Event()
        self._work: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._stay, name="beside", daemon=True)

    def _stay(self) -> None:
        try:
            with self._context:
                self._entered.set()
                while (work := self._work.get()) is not None:
                    with suppress(Exception):
                        work()
        except BaseException as error:
            self._error = error
        finally:
            self._entered.set()

    def once_entered(self, work: Callable[[], object]) -> None:
        """Let the second thread do something once the context is entered; it may fail silently."""
        self._work.put(work)

    def wait(self) -> None:
        """Return once the context is entered.

        Raises:
            BaseException: What entering it has raised.
        """
        self._entered.wait()
        if self._error is not None:
            raise self._error

    def __enter__(self) -> "Beside":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._work.put(None)
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error
