"""The rows of a stage's epochs while they are only kept: a tenth of their memory."""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

Row = Mapping[str, Any]


class PackedRows(Sequence[Row]):
    """Rows of plain JSON, compressed; unpacked whenever they are read.

    A driver knows every stage of its run until it ends: a row is some 800 bytes as a dict.

    Args:
        rows: One an epoch.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._count = len(rows)
        self._packed = zlib.compress(json.dumps([dict(row) for row in rows]).encode(), 1)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Row]:
        return iter(self._unpack())

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | Sequence[Row]:
        return self._unpack()[at]

    def __eq__(self, other: object) -> bool:
        """Whether another sequence has the same rows, packed or not."""
        return isinstance(other, Sequence) and self._unpack() == tuple(other)

    def __repr__(self) -> str:
        return repr(self._unpack())

    def _unpack(self) -> tuple[Row, ...]:
        return tuple(json.loads(zlib.decompress(self._packed)))
