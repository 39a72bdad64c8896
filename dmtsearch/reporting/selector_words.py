"""A selector and the methods beside it, in words."""

from collections.abc import Sequence

from dmtsearch.reporting.selector import ORACLE, OWN, Group, Score, Selector
from dmtsearch.reporting.selector_trials import Architecture
from dmtsearch.reporting.words import listed, plural

LABELS = {
    OWN: "selector",
    "max_softmax": "max-softmax",
    "temperature_max_softmax": "max-softmax, temperature-scaled",
    "margin": "margin",
    "entropy": "entropy",
    "energy": "energy",
    "sum_rule": "sum rule",
    "product_rule": "product rule",
    "stacking": "logistic stacking",
    ORACLE: "oracle selector",
}
_ALONE = "only_"


def label(method: str) -> str:
    """A method's name in a table: `iris alone`, `sum rule`; one of a later version as it is."""
    if method.startswith(_ALONE):
        return f"{method.removeprefix(_ALONE)} alone"
    return LABELS.get(method, method)


def family(method: str, sweep: Group) -> str:
    """`selector`, `modality` (one decides all), `selection`, `fusion` or `oracle`."""
    if method in (OWN, ORACLE):
        return method
    if method.startswith(_ALONE):
        return "modality"
    # Only what believes one modality has a count of decisive samples.
    return "fusion" if sweep.scores[method].decisive_n is None else "selection"


def best_of(kind: str, sweep: Group) -> str | None:
    """The most accurate method of a family over the sweep, the first of equals; None of none."""
    found = [name for name in sweep.scores if family(name, sweep) == kind]
    return max(found, key=lambda name: sweep.scores[name].accuracy, default=None)


def degraded_words(degraded: Sequence[str] | None, modalities: Sequence[str]) -> str:
    """What is degraded: `whole sweep`, `none degraded`, `iris degraded`, `both degraded`."""
    if degraded is None:
        return "whole sweep"
    if not degraded:
        return "none degraded"
    if len(degraded) == len(modalities) > 1:
        return "both degraded" if len(degraded) == 2 else "all degraded"
    return f"{listed(degraded)} degraded"


def build_words(architecture: Architecture) -> str:
    """What a selector reads, its net, and how it decides, in one sentence and a half."""
    names = listed(architecture.stages)
    reads = {
        "topk": f"the {architecture.k} largest class probabilities",
        "posterior": "all class probabilities",
        "logits": "the logits",
        "moments": "four numbers about the certainty (largest probability, margin, entropy, "
        "energy)",
    }.get(architecture.inputs, architecture.inputs)
    dropout = f", dropout {architecture.dropout:g}" if architecture.dropout else ""
    decides = {
        "hard": "lets the modality that it believes decide alone (hard)",
        "soft": "mixes the classes' probabilities by its trust in each modality (soft); the one "
        "that weighs most counts as believed",
    }.get(architecture.decision, architecture.decision)
    taught = {
        "undegraded": "which modality is not degraded",
        "right": "which modality is right, where exactly one is",
    }.get(architecture.target, architecture.target)
    return (
        f"reads {reads} of each of {names}, has {hidden_words(architecture.hidden)}{dropout}, and "
        f"{decides}. It was taught {taught}, on samples degraded by {listed(architecture.kinds)}."
    )


def hidden_words(hidden: Sequence[int]) -> str:
    """`no hidden layer`, `a hidden layer of 16 units`, `hidden layers of 64 and 32 units`."""
    if not hidden:
        return "no hidden layer"
    if len(hidden) == 1:
        return f"a hidden layer of {plural(hidden[0], 'unit')}"
    return f"hidden layers of {listed([str(units) for units in hidden])} units"


def sweep_words(found: Selector) -> str:
    """Which conditions were met: kinds, severities, on what; and n."""
    sweep, seen = found.sweep, [one for one in found.conditions if one.seen]
    if sweep is None:
        return "no condition"
    kinds = list(dict.fromkeys(one.kind for one in seen if one.kind is not None))
    severities = sorted({one.severity for one in seen if one.severity is not None})
    where = list(dict.fromkeys(one.degraded for one in seen if one.degraded))
    parts = []
    if kinds:
        names = [listed(on) if len(on) < len(found.modalities) else "all" for on in where]
        if len(found.modalities) == 2:
            names = ["both" if name == "all" else name for name in names]
        grid = listed([f"{severity:g}" for severity in severities])
        word = "severity" if len(severities) == 1 else "severities"
        parts.append(f"{listed(kinds)} at {word} {grid} on {listed(names)}")
    if any(one.kind is None for one in seen):
        parts.append("nothing degraded")
    return f"{plural(sweep.conditions, 'condition')} ({', and '.join(parts)})"


def percent(share: float | None) -> str:
    """`73.33 %`; `-` for none."""
    return "-" if share is None else f"{100 * share:.2f} %"


def span(score: Score, digits: int = 1) -> str:
    """An accuracy's 95 % interval in percent: ` (69.3 to 77.4)`; empty where there is none."""
    if score.interval is None:
        return ""
    low, high = (f"{100 * end:.{digits}f}" for end in score.interval)
    return f" ({low} to {high})"


def minus_words(score: Score, digits: int = 1) -> str:
    """Selector minus a method, in points: `+7.61 (4.1 to 11.2)`; `-` where there is none."""
    if score.minus is None:
        return "-"
    middle, low, high = (100 * value for value in score.minus)
    return f"{middle:+.2f} ({low:+.{digits}f} to {high:+.{digits}f})"
