"""A context that a second thread enters and leaves, while the first one goes on."""

import threading
from contextlib import AbstractContextManager
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
        self._entered, self._over = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._stay, name="beside", daemon=True)

    def _stay(self) -> None:
        try:
            with self._context:
                self._entered.set()
                self._over.wait()
        except BaseException as error:
            self._error = error
        finally:
            self._entered.set()

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
        self._over.set()
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error
