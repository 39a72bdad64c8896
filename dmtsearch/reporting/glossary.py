"""The words of a page, explained; a page lists those that it uses."""

import re
from collections.abc import Iterable

from dmtsearch.reporting.control_arms import MEANING
from dmtsearch.reporting.layout import (
    Block,
    Code,
    Comparison,
    Figures,
    Items,
    Section,
    TableBlock,
    Text,
)

GLOSSARY = {
    "adapter": "what brings a student's activation to the shape of its source's (a regressor)",
    "adjusted": "with the other holes held equal, by a least-squares fit",
    "agreement": "the share of samples to which two models give the same class",
    "anchor": "the space filled with the middle of each range and the first of each choice",
    "BEATS": "better than the control: p is under the bound of the look",
    "break-even": "the number of students of one first model from which a schedule is cheaper",
    "chosen schedule": "the trial that the confirmation tests, chosen on seeds of its own",
    "cold cost": "the compute of all stages of a path, as if nothing were shared, in sample-MACs",
    "confirm": "train the chosen schedule and its controls again on fresh seeds, and test them",
    "control arm": "a schedule that is run for comparison (a baseline)",
    "cost spent": "the compute of the epochs that were run, which an early end makes smaller",
    "degradation": "noise, occlusion and more, with a severity from 0 to 1",
    "delivered": "of the last stage: its model is the result",
    "draw": "values for the holes; not every draw makes a schedule that can run",
    "ECE": "expected calibration error: how far confidence is from accuracy",
    "epoch": "one pass over the training split",
    "first model": "the model at the start of a path, which learns from labels (the teacher)",
    "futility": "a win by the margin is out of reach, so that the test ends early",
    "hint epoch": "an epoch with hints alone, before the other losses",
    "hint phase": "the hint epochs of a stage",
    "hint": "a loss towards the source's activations at a chosen layer (feature distillation)",
    "hole": "a place in a schedule where a search puts different values (a search dimension)",
    "Holm": "p adjusted for the number of comparisons",
    "increment": "how far merit moves the soft weight of a sample",
    "inherited": "of errors: those of a source that its student makes too, with the same class",
    "interval": "where the true value lies, at the stated confidence",
    "kappa": "agreement beyond what the class frequencies alone give: 0 by chance, 1 complete",
    "look": "a planned number of replicates at which a confirmation is judged",
    "LOSES": "worse than the control: the 90 % upper end of the difference is under 0",
    "MACs": "multiply-accumulates of one sample's forward pass, half the FLOPs",
    "merit": "a rule that moves the soft weight of each sample by whether the source is right",
    "middle model": "a model between the first and the delivered one (a teacher assistant)",
    "modality": "one of several tensors of a sample, such as iris and periocular image",
    "n": "how many: runs, replicates or samples, as the line says",
    "NLL": "negative log-likelihood: low where the right class is given a high probability",
    "objective": "a value of the delivered model that the search raises or lowers",
    "p": "how often a difference as large would be seen where there is none",
    "Pareto set": "those of which no other is as good in everything and better in something",
    "PED-ANOVA": "a measure of how far a hole's values in the best trials differ from all",
    "placebo": "the same with what it knows taken away: a shuffle, a constant, an untrained copy",
    "points": "percentage points of accuracy",
    "power": "how often a true gain of this size would be found",
    "pruned": "stopped early by a rule",
    "replicate": "one training of all arms, whole paths, on one fresh seed",
    "sample-MACs": "MACs times samples times passes; a training step counts three forward passes",
    "schedule": "which models are trained, in what order, from what, for how long",
    "sd": "standard deviation, with n - 1",
    "search space": "a schedule with holes",
    "seed": "the number from which all randomness of a run comes",
    "selector": "a small net that reads the outputs of classifiers and selects which one decides",
    "shared": "trained once and used by several trials",
    "soft": "the loss towards the source's softened outputs (soft targets)",
    "source": "an earlier stage from which a stage learns (a teacher)",
    "stage": "one model trained once",
    "store": "where finished stages lie, by the hash of all that determines their result",
    "student": "a stage that learns from a source",
    "switch": "the passage from one stage to the next: to which model, when, by what criterion",
    "test": "the split that no search reads; each opening is written down",
    "TIES": "the 90 % interval is within what is called equal (the confirmation's margin)",
    "trial": "one filled schedule, run from its first stage to its last",
    "UNDECIDED": "neither better, nor worse, nor equal within the margin, at this n",
    "val": "the split that chooses among trials and epochs",
    "variant": "the chosen schedule with one thing changed",
}
"""In alphabetical order."""


def glossary_section(sections: Iterable[Section], more: Iterable[str]) -> Section:
    """The words that occur in `sections` and in `more` texts, control arms by their names."""
    text = " ".join((*(word for one in sections for word in _texts(one)), *more))
    words = {**GLOSSARY, **{name: words for name, words in MEANING.items() if name != "search"}}
    rows = tuple(
        (word, words[word]) for word in sorted(words, key=str.lower) if _occurs(word, text)
    )
    table = TableBlock(("word", "meaning"), rows)
    return Section("glossary", "Glossary", (table,))


def _occurs(word: str, text: str) -> bool:
    flags = re.IGNORECASE if word.islower() and len(word) > 2 else 0
    return re.search(rf"(?<!\w){re.escape(word)}(?:e?s)?(?!\w)", text, flags) is not None


def _texts(section: Section) -> list[str]:
    return [section.title, *(word for block in section.blocks for word in _words(block))]


def _words(block: Block) -> list[str]:
    if isinstance(block, Text):
        return [block.words]
    if isinstance(block, Items):
        return list(block.items)
    if isinstance(block, TableBlock):
        cells = (cell for row in block.rows for cell in row)
        return [*block.columns, *cells, block.caption, block.folded or ""]
    if isinstance(block, Figures):
        return [text for one in block.drawings for text in (one.title, one.caption, one.alt)]
    if isinstance(block, Code):
        return [block.text]
    if isinstance(block, Comparison):
        return [cell for row in block.rows for cell in row]
    return []
