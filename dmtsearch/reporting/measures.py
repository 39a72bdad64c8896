"""How objectives and values of holes are written."""

from dataclasses import dataclass

from dmtsearch.human import amount, printable_line


@dataclass(frozen=True)
class Measure:
    """How an objective is written.

    Attributes:
        label: On an axis and in a table's head.
        unit: Behind a value; with its own space where one belongs.
        scale: What a stored value is multiplied by before it is shown.
        digits: Behind the point, in a table.
        log: Whether an axis of it is best logarithmic.
    """

    label: str
    unit: str = ""
    scale: float = 1.0
    digits: int = 0
    log: bool = False


MEASURES = {
    "val_accuracy": Measure("val accuracy", " %", 100.0, 2),
    "val_nll": Measure("val NLL", " nats", 1.0, 4),
    "val_ece": Measure("val ECE", " %", 100.0, 2),
    "val_regret": Measure("val regret to the oracle", " %", 100.0, 2),
    "params": Measure("parameters", log=True),
    "macs": Measure("MACs", log=True),
    "cold_cost": Measure("cold cost", " sample-MACs", log=True),
    "latency": Measure("latency", " ms", 1.0, 3),
}


def measure_of(name: str) -> Measure:
    """How `name` is written; a name of a later version is shown as it is stored."""
    return MEASURES.get(name, Measure(name, "", 1.0, 4))


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
