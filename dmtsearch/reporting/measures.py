"""How objectives and values of holes are written."""

from dmtsearch.engine.objectives import OBJECTIVES, Measure
from dmtsearch.human import amount, printable_line


def measure_of(name: str) -> Measure:
    """How `name` is written; a name of a later version is shown as it is stored."""
    known = OBJECTIVES.get(name)
    return known.written if known else Measure(name, "", 1.0, 4)


def show(name: str, value: float | None) -> str:
    """A value with its unit: `88.05 %`, `52,430`, `3.41 G sample-MACs`; `-` for none."""
    if value is None:
        return "-"
    measure = measure_of(name)
    if measure.log:
        return amount(value) + measure.unit
    return f"{value * measure.scale:.{measure.digits}f}{measure.unit}"


def difference(name: str, value: float, *, signed: bool = False) -> str:
    """A spread or a distance: `0.31 points` for what is shown in percent."""
    measure = measure_of(name)
    sign = "+" if signed else ""
    if measure.log:
        minus = "-" if value < 0 else sign
        return minus + amount(abs(value)) + measure.unit
    unit = " points" if measure.unit == " %" else measure.unit
    return f"{value * measure.scale:{sign}.{measure.digits}f}{unit}"


def short(value: object) -> str:
    """A hole's value on an axis: `0.2`, `1e-05`, `20,000`, `delta`."""
    if isinstance(value, float):
        return f"{value:.4g}"
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}" if is_count else printable_line(str(value))
