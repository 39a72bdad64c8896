"""Types of the fields of JSON files that others may have written, and the one way to check them.

A record is declared once, as a frozen dataclass or model whose fields have these types; what is
read is checked against the declaration, strictly: no text where a number belongs, no NaN, no
number that cannot be computed with. What dmtsearch itself writes is not checked again.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from typing_extensions import TypedDict

from dmtsearch.human import printable_line

MOST = 1e100
"""No count, cost or loss is larger; sums and squares of such numbers are still finite."""
DEEPEST = 24
"""Lists and objects within one another."""
SHOWN_PROBLEMS = 3


T = TypeVar("T")


class StrictModel(BaseModel):
    """A record as a model. Fields are only ever added, so that unknown ones are passed over."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


def _plain(value: Any, depth: int = 0) -> Any:
    """Refuse what cannot be reckoned with or written again, however deep it lies."""
    if depth > DEEPEST:
        raise ValueError(f"lists and objects lie more than {DEEPEST} deep in one another")
    if isinstance(value, int | float) and not abs(value) <= MOST:
        raise ValueError("a number is not finite, or larger than any that is measured")
    if isinstance(value, Mapping):
        for item in value.values():
            _plain(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _plain(item, depth + 1)
    return value


def _path(text: str) -> str:
    if "\0" in text:
        raise ValueError("a path has no NUL character")
    return text


Int = Annotated[int, Field(ge=-(10**18), le=10**18)]
Count = Annotated[int, Field(ge=0, le=10**30)]
Size = Annotated[int, Field(ge=1, le=10**9)]
Number = (
    Annotated[int, Field(ge=-(10**100), le=10**100)]
    | Annotated[float, Field(ge=-MOST, le=MOST, allow_inf_nan=False)]
)
Positive = Annotated[Number, Field(ge=0)]
Key = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""Of a stage in the store."""
PathText = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_path)]
Shape = Annotated[list[Size], Field(min_length=1)]
"""Of a sample, without the batch."""
Direction = Annotated[str, Field(pattern="^(max|min)$")]
Plain = Annotated[Any, AfterValidator(_plain)]
"""Any JSON, within bounds."""

if TYPE_CHECKING:
    Metrics = Mapping[str, Any]
    Latency = Mapping[str, Any]
    Row = Mapping[str, Any]
    Sweep = Mapping[str, Any]
    RunningStage = Mapping[str, Any]
    SummaryFile = dict[str, Any]
    Object = Mapping[str, Any]
    Values = Mapping[str, Any]
    Objectives = Mapping[str, str]
else:
    Object = Annotated[dict[str, Any], AfterValidator(_plain)]
    Values = dict[str, bool | Number | str]
    Objectives = Annotated[dict[str, Direction], Field(min_length=1)]
    _Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    _MORE = ConfigDict(extra="allow", strict=True)

    class _Metrics(TypedDict, total=False):
        __pydantic_config__ = _MORE
        n: Annotated[int, Field(ge=1, le=10**15)]
        accuracy: _Share | None
        nll: Number | None
        ece: Number | None
        regret: Number | None
        selection_accuracy: _Share | None
        conditions: Annotated[int, Field(ge=1, le=10**9)] | None
        low: Number | None
        high: Number | None

    class _Latency(TypedDict, total=False):
        __pydantic_config__ = _MORE
        device: str
        median_ms: Number | None
        n: Count

    class _RowNeeds(TypedDict):
        __pydantic_config__ = _MORE
        phase: str
        epoch: Annotated[int, Field(ge=1, le=10**9)]

    class _Row(_RowNeeds, total=False):
        val_accuracy: Number | None
        val_nll: Number | None

    class _Score(TypedDict):
        __pydantic_config__ = _MORE
        accuracy: _Share
        selection_accuracy: _Share | None
        decisive_accuracy: _Share | None
        decisive_n: Annotated[int, Field(ge=0, le=10**15)] | None

    class _Condition(_Score):
        kind: str | None
        severity: Number | None
        degraded: list[str]
        seen: bool
        n: Annotated[int, Field(ge=1, le=10**15)]
        oracle_accuracy: _Share
        methods: dict[str, _Score]
        believed: dict[str, Annotated[int, Field(ge=0, le=10**15)]]

    class _Intervals(TypedDict, total=False):
        __pydantic_config__ = _MORE
        low: Number
        high: Number
        selector_minus: Number
        minus_low: Number
        minus_high: Number

    class _Group(TypedDict):
        __pydantic_config__ = _MORE
        degraded: list[str] | None
        methods: dict[str, _Intervals]

    class _Sweep(TypedDict, total=False):
        __pydantic_config__ = _MORE
        sweep: list[_Condition]
        groups: list[_Group]
        methods: dict[str, _Intervals]
        missing: dict[str, str]

    class _BestTrial(TypedDict):
        __pydantic_config__ = _MORE
        trial: Count
        arm: str
        seed: Int
        objectives: dict[str, Number | None]
        n: Count | None
        metrics: _Metrics
        params: Count

    class _Counts(TypedDict):
        __pydantic_config__ = _MORE
        proposed: Count
        done: Count
        pruned: Count
        failed: Count
        unfinished: Count

    class _FailedTrials(TypedDict):
        __pydantic_config__ = _MORE
        reason: str
        count: Count
        trials: list[Count]

    class _Summary(TypedDict):
        __pydantic_config__ = _MORE
        trials: _Counts
        best: _BestTrial | None
        best_control: _BestTrial | None
        failures: list[_FailedTrials]
        ended: str | None

    class _RunningStage(TypedDict):
        __pydantic_config__ = _MORE
        name: str
        model: str
        trial: Int
        waiters: Int
        phase: str
        epoch: Int
        epochs: Int

    def _intervals_whole(methods):
        for name, one in methods.items():
            for first, others in (("low", ("high",)), ("selector_minus", _MINUS)):
                if first in one and any(other not in one for other in others):
                    raise ValueError(f"methods.{name}: {first} without {' and '.join(others)}")

    _MINUS = ("minus_low", "minus_high")

    def _one_sweep(found):
        """All conditions have the same methods and modalities: means are taken over them."""
        kinds = {(tuple(one["methods"]), tuple(one["believed"])) for one in found.get("sweep", ())}
        if len(kinds) > 1:
            raise ValueError("its conditions differ in methods or modalities")
        for one in (found, *found.get("groups", ())):
            _intervals_whole(one.get("methods", {}))
        return found

    Metrics = Annotated[_Metrics, AfterValidator(_plain)]
    Latency = Annotated[_Latency, AfterValidator(_plain)]
    Row = Annotated[_Row, AfterValidator(_plain)]
    Sweep = Annotated[_Sweep, AfterValidator(_plain), AfterValidator(_one_sweep)]
    SummaryFile = Annotated[_Summary, AfterValidator(_plain)]
    RunningStage = Annotated[_RunningStage, AfterValidator(_plain)]


class Checked(Generic[T]):
    """Reads JSON as one kind of record.

    Args:
        kind: The record's class: a dataclass whose fields have types of this module.
    """

    def __init__(self, kind: type[T]) -> None:
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)

    def read(self, text: bytes | str) -> T:
        """Return the record that `text` is; unknown fields are passed over.

        Raises:
            ValueError: It is not JSON, or a field is missing or of another type; says which.
        """
        try:
            return self._adapter.validate_json(text, strict=True)
        except ValidationError as error:
            raise ValueError(describe_problems(error)) from error


_TAGS = re.compile(r"^(constrained-\w+|function-\w+|int|float)(\[.*\])?$")


def describe_problems(error: ValidationError) -> str:
    """Return the first wrong fields, each with its rule and value, on one line."""
    words: dict[str, None] = {}
    for problem in error.errors(include_url=False, include_context=False):
        place = ".".join(str(part) for part in problem["loc"] if not _TAGS.match(str(part)))
        message = problem["msg"].removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
        if problem["type"] == "missing":
            message = "is missing"
        elif problem["type"] != "json_invalid":
            message += f", got {repr(problem['input'])[:60]}"
        words[f"{place}: {message}" if place else message] = None
    more = len(words) - SHOWN_PROBLEMS
    shown = [*list(words)[:SHOWN_PROBLEMS], *([f"and {more} more"] if more > 0 else [])]
    return printable_line("; ".join(shown))
