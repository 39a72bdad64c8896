"""Turns what a file system says into what a user can do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from dmtsearch.errors import StoreError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}
_NO_FOLDER = {errno.ENOTDIR, errno.EEXIST}
ELSEWHERE = "name another store with --store or DMTSEARCH_STORE"


@contextmanager
def translate_os_errors(where: str, doing: str) -> Iterator[None]:
    """Turn an OSError of the body into a StoreError with the place and the remedy.

    Args:
        where: The store's root.
        doing: What was tried, as in "could not ...".
    """
    try:
        yield
    except OSError as error:
        raise StoreError(_sentence(where, doing, error)) from error


def _sentence(where: str, doing: str, error: OSError) -> str:
    if error.errno in _FULL:
        return (
            f"the store at {where} is full: could not {doing} ({error.strerror}); free some "
            f"space, remove old objects with `dmtsearch store gc`, or {ELSEWHERE}; "
            "what was stored before is whole"
        )
    if error.errno in _REFUSED:
        return (
            f"no permission at the store {where}: could not {doing} ({error.strerror}); "
            f"change its permissions or mount, or {ELSEWHERE}"
        )
    if error.errno in _NO_FOLDER:
        return (
            f"the store {where} is not a folder: could not {doing} ({error}); remove the file "
            f"of that name, or {ELSEWHERE}"
        )
    return (
        f"the store {where} cannot be reached: could not {doing} ({error}); check its path, "
        f"connection and credentials, or {ELSEWHERE}"
    )
