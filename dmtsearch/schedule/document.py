"""Text to nodes: one YAML 1.2 document, read safely, every name with its line.

ruamel.yaml splits the text into events; the tree is built here, so that no tag ever makes an
object, aliases cannot multiply without bound, and a name given twice is told with both lines.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ..errors import FileError, ScheduleError
from ..reading import read_bytes
from .builder import Builder, Refused
from .node import Node

MAX_BYTES = 1 << 20


def read_document(path: str | Path) -> Node:
    """Return the document in the file at `path`; see `parse_document`."""
    try:
        data = read_bytes(path, limit=MAX_BYTES)
    except FileError as error:
        raise ScheduleError(str(path), [error.reason]) from None
    return parse_document(data, str(path))


def parse_document(text: str | bytes, where: str) -> Node:
    """Return the one document in `text`.

    Args:
        text: YAML 1.2 (so also JSON), UTF-8 where it is bytes.
        where: What to call it in errors: a file's path.

    Raises:
        ScheduleError: Not UTF-8, over 1 MiB, not YAML, empty, several documents, no mapping,
            over 20,000 values once aliases are written out, or deeper than 32 levels; a tag that
            builds an object, a merge key, a name twice, a number that is not finite.
    """
    decoded = _decode(text, where)
    builder = Builder(where)
    try:
        for event in _events(decoded):
            builder.take(event)
    except Refused as refused:
        builder.problem(str(refused), refused.line)
    except MarkedYAMLError as error:
        builder.problem(*_syntax(error))
    except (YAMLError, ValueError, ArithmeticError, AttributeError, LookupError, TypeError,
            AssertionError, RecursionError) as error:  # fmt: skip
        # Texts that are no YAML at all reach corners where ruamel raises Python's own errors.
        first = str(error).strip().splitlines() or [type(error).__name__]
        builder.problem(f"not readable as YAML: {first[0]}", None)
    return builder.finish()


def _decode(text: str | bytes, where: str) -> str:
    size = len(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else len(text)
    if size > MAX_BYTES:
        raise ScheduleError(where, [f"larger than 1 MiB; a schedule is a few KiB  ({where})"])
    if isinstance(text, bytes):
        try:
            return text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = text[: error.start].count(b"\n") + 1
            raise ScheduleError(
                where, [f"not UTF-8; save the file as UTF-8  ({where}:{line})"]
            ) from None
    return text


def _events(text: str) -> Iterator[Any]:
    yaml = YAML(typ="safe", pure=True)
    yield from yaml.parse(text)


def _syntax(error: MarkedYAMLError) -> tuple[str, int | None]:
    mark = error.problem_mark or error.context_mark
    said = str(error.problem or error.context or "cannot be read").replace("<stream end>", "end")
    advice = "look for a missing quote, bracket, colon or indent there or just above"
    if "\\t" in said:
        advice = "indent with spaces, never tabs"
    elif error.context_mark is not None and mark is not None:
        began = error.context_mark.line + 1
        if began != mark.line + 1:
            advice = f"what is open there began on line {began}"
    return f"not YAML: {said}; {advice}", mark.line + 1 if mark is not None else None


def parse_value(text: str, where: str) -> Any:
    """Return one value written as YAML on a command line, read as `parse_document` reads."""
    document = parse_document(f"value: {text}", where)
    if list(document.fields) != ["value"]:
        raise ScheduleError(where, ["must be one value; quote the whole argument"])
    return document.fields["value"].plain()
