"""What limits what a report says."""

import math

from dmtsearch.reporting.chain import weak_sources
from dmtsearch.reporting.summary import Summary
from dmtsearch.reporting.words import plural


def caveats(summary: Summary) -> tuple[str, ...]:
    """One sentence or two each: the search's own limits first, then what the space holds fixed."""
    found = [
        "A search trial is one run with one seed; its value was also what chose it, so the best "
        "value is too good on average."
    ]
    found += _samples(summary)
    ruler = summary.ruler
    if ruler is not None:
        found.append(
            f"The noise ruler rests on {ruler.n} runs ({plural(ruler.degrees, 'degree')} of "
            f"freedom), so its standard deviation is itself uncertain by about "
            f"{100 * ruler.uncertainty:.0f} %. The seeds of direct share one first model, and "
            "trials may share early stages: a spread over whole paths would be wider."
        )
        found.append(
            "What the best of N equal trials would show assumes independent normal draws; trials "
            "that share stages are not independent."
        )
    found.append(
        "What each hole does is read off trials in which the other holes vary as well, and the "
        "sampler tries what looks good more often: it is a description, not an effect."
    )
    found.append(
        f"The test split was opened {summary.test_openings} times: a search never reads it, and "
        "every accuracy here is on val."
    )
    for source, there, target, here in weak_sources(summary.chain) if summary.chain else ():
        found.append(
            f"In the best schedule {source} ({100 * there:.2f} % on val) is not above {target} "
            f"({100 * here:.2f} %), which learned from it."
        )
    for arm in summary.record.missing:
        found.append(f"There is no control arm {arm.arm}: {arm.reason}.")
    return (*found, *summary.fixed)


def _samples(summary: Summary) -> list[str]:
    best = summary.best
    if best is None:
        return []
    n, accuracy = best.metrics.get("n"), best.metrics.get("accuracy")
    if not n or accuracy is None:
        return []
    conditions, low, high = (best.metrics.get(name) for name in ("conditions", "low", "high"))
    if conditions and low is not None and high is not None:
        # A selector's accuracy is a mean over conditions that the same samples are met in.
        return [
            f"Val has {n:,} samples, each met in {plural(conditions, 'condition')}: an accuracy "
            f"of {100 * accuracy:.2f} % over all of them has a 95 % interval of {100 * low:.2f} "
            f"to {100 * high:.2f} %, which counts samples and not conditions. All arms are "
            "measured on the same samples, so differences between them vary less."
        ]
    error = 100 * math.sqrt(accuracy * (1 - accuracy) / n)
    return [
        f"Val has {n:,} samples: an accuracy of {100 * accuracy:.2f} % on it has a binomial "
        f"standard error of {error:.2f} points. All arms are measured on the same samples, so "
        "differences between them vary less."
    ]
