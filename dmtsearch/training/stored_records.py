"""Records of the store as others may have written them: every field that is read has a type."""

from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from dmtsearch.fields import (
    STRICT,
    Count,
    Latency,
    Metrics,
    Number,
    Object,
    Positive,
    Row,
    Sweep,
    describe_problems,
)

_Shape = Annotated[list[Annotated[int, Field(ge=1, le=10**9)]], Field(min_length=1)]
_Epochs = Annotated[int, Field(ge=0, le=10**9)]
_Name = Annotated[str, Field(min_length=1)]


class Recorded(Protocol):
    """An object of a store."""

    @property
    def failed(self) -> bool: ...
    @property
    def record(self) -> dict[str, Any]: ...


def _scored(found: Mapping[str, Any]) -> Mapping[str, Any]:
    if found.get("accuracy") is None or "n" not in found:
        raise ValueError("lacks an accuracy or the n that it was measured on")
    return found


class _Record(BaseModel):
    model_config = STRICT


class _View(_Record):
    modality: str
    size: Annotated[int, Field(ge=1, le=16_384)] | None
    mean: list[float]
    std: list[float]


class _Scores(_Record):
    val: Annotated[Metrics, AfterValidator(_scored)]


class _Phase(_Record):
    name: _Name
    epochs: _Epochs
    kept_epoch: _Epochs | None
    tap_mean_squares: list[Object]
    history: list[Row]
    seconds: Positive


class _Stage(_Phase):
    model: Object
    in_shape: _Shape
    num_classes: Annotated[int, Field(ge=1, le=10**9)]
    view: _View
    params: Count
    macs: Count
    metrics: _Scores
    latency: Latency
    hint_epochs: _Epochs
    hint_seconds: Positive
    hints_by: Annotated[list[str | None], Field(min_length=2, max_length=2)]
    run: str | None = None
    select: Object | None = None
    val_sweep: Sweep | None = None


class _Hints(_Phase):
    run: str | None = None
    stage: str | None = None


class _Failure(_Record):
    phase: _Name
    epoch: _Epochs
    step: Annotated[int, Field(ge=0)]
    term: _Name
    value: str | Number


def check_stage(found: Recorded) -> None:
    """Refuse the object of a stage whose record cannot be used.

    Raises:
        ValueError: A field is missing or has another type; names it.
    """
    _check(_Stage, found)


def check_hints(found: Recorded) -> None:
    """Refuse the object of a hint phase, as `check_stage` does."""
    _check(_Hints, found)


def _check(kind: type[BaseModel], found: Recorded) -> None:
    try:
        (_Failure if found.failed else kind).model_validate(found.record)
    except ValidationError as error:
        raise ValueError(f"its record has a wrong field: {describe_problems(error)}") from None
