"""Where a report's numbers come from."""

from collections.abc import Mapping
from typing import Any

from dmtsearch.engine.ledger_lines import RunStarted
from dmtsearch.human import amount, counted, duration
from dmtsearch.reporting.findings import Summary
from dmtsearch.reporting.layout import Section, TableBlock
from dmtsearch.reporting.prices import both_prices


def provenance(summary: Summary) -> tuple[tuple[str, str], ...]:
    """(what, value) rows: command, seeds, versions, hardware, costs, then the rest of run.json."""
    record, effort = summary.record, summary.effort
    rows: list[tuple[str, str]] = [("run folder", str(record.root))]
    if record.starts:
        first, last = record.starts[0], record.starts[-1]
        rows += [
            ("run", first.run_id),
            ("command", "; then ".join(dict.fromkeys(line.command for line in record.starts))),
            ("started", first.started),
            ("started or resumed", counted(effort.drivers, "time")),
            ("seed of the search", str(first.seed)),
            ("trials wanted", str(last.trials)),
            ("trials at once", str(last.concurrency)),
            ("versions", "; then ".join(dict.fromkeys(map(_versions, record.starts)))),
        ]
    rows.append(("seeds of the arms", _seeds(summary)))
    hardware = sorted({str(line.latency["device"]) for line in record.stage_lines
                       if "device" in line.latency})  # fmt: skip
    if hardware:
        rows.append(("hardware of the stages", ", ".join(hardware)))
    if record.stop is not None:
        rows.append(("stopped", f"{_STOPS.get(record.stop.reason, record.stop.reason)}"))
    else:
        rows.append(("stopped", "not yet, or it was killed"))
    rows.append(("cost to find", _found(summary)))
    if summary.recommended is not None and summary.prices is not None:
        cost = both_prices(summary.prices, summary.recommended)
        rows.append(("cost to train what is recommended", cost))
    rows.append(("openings of the test split", str(summary.test_openings)))
    shown = _SHOWN if record.starts else ()
    rest = {name: value for name, value in record.facts.items() if name not in shown}
    return (*rows, *flatten(rest))


# Of run.json: what the ledger says as well, and what is above.
_SHOWN = (
    *("run_id", "created", "name", "question", "objectives", "trials", "seed", "concurrency"),
    *("command", "versions"),
)

_STOPS = {
    "trials": "all wanted trials ended",
    "used_up": "the space is used up",
    "duplicates": "100 draws in a row had been tried",
    "time": "the time budget was over",
    "interrupted": "interrupted",
    "failed": "failed",
}


def _versions(line: RunStarted) -> str:
    return ", ".join(f"{name} {value}" for name, value in line.versions.items())


def _seeds(summary: Summary) -> str:
    return "; ".join(
        f"{arm.label} {', '.join(map(str, arm.seeds))}" for arm in summary.arms
    ) or "none"  # fmt: skip


def _found(summary: Summary) -> str:
    effort = summary.effort
    words = f"{amount(effort.cost)} sample-MACs, {duration(effort.stage_seconds)} of stages"
    if effort.elapsed_seconds is not None:
        words += f", {duration(effort.elapsed_seconds)} from first to last line, pauses included"
    return words


def flatten(facts: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Nested plain data as (dotted name, text) rows; None and empty values are left out."""
    rows: list[tuple[str, str]] = []
    for name, value in facts.items():
        full = f"{above}.{name}" if above else str(name)
        if isinstance(value, Mapping):
            rows += flatten(value, full)
        elif isinstance(value, list | tuple):
            if value and not any(isinstance(item, Mapping | list) for item in value):
                rows.append((full, ", ".join(map(str, value))))
        elif value is not None and value != "":
            rows.append((full, str(value)))
    return rows


def provenance_section(summary: Summary) -> Section:
    """Where the numbers come from."""
    table = TableBlock(("what", "value"), provenance(summary))
    return Section("provenance", "Provenance", (table,))
