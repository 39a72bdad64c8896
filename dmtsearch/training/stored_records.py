"""Records of the store as others may have written them: every field that is read has a type."""

from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, Field, ValidationError

from dmtsearch.fields import (
    Count,
    Latency,
    Metrics,
    Number,
    Object,
    Positive,
    Row,
    Shape,
    Size,
    StrictModel,
    Sweep,
    describe_problems,
)

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


class InputView(StrictModel):
    """How a model reads samples, as `View` is written down."""

    modality: str
    size: Annotated[int, Field(ge=1, le=16_384)] | None
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]


class StageFigures(StrictModel):
    """What the store and a bundle say of a finished stage or hint phase."""

    name: _Name
    epochs: _Epochs
    kept_epoch: _Epochs | None
    tap_mean_squares: list[Object]
    seconds: Positive


class _Scores(StrictModel):
    val: Annotated[Metrics, AfterValidator(_scored)]


class _StoredStage(StageFigures):
    history: list[Row]
    model: Object
    in_shape: Shape
    num_classes: Size
    view: InputView
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
    merit: dict[str, Number] | None = None
    gpu_bytes: Count | None = None


class _StoredHints(StageFigures):
    history: list[Row]
    run: str | None = None
    stage: str | None = None


class _Divergence(StrictModel):
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
    _check(_StoredStage, found)


def check_hints(found: Recorded) -> None:
    """Refuse the object of a hint phase, as `check_stage` does."""
    _check(_StoredHints, found)


def _check(kind: type[StrictModel], found: Recorded) -> None:
    try:
        (_Divergence if found.failed else kind).model_validate(found.record)
    except ValidationError as error:
        raise ValueError(f"its record has a wrong field: {describe_problems(error)}") from None
