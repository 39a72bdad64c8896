"""What a selector net reads of its classifiers' outputs."""

from dmtsearch.schedule import Select

MOMENTS = 4
"""max, margin, entropy, energy."""


def selector_features(select: Select, num_classes: int) -> tuple[int]:
    """Shape of a selector's input: the features of each modality, side by side."""
    each = {
        "topk": min(select.k or num_classes, num_classes),
        "posterior": num_classes,
        "logits": num_classes,
        "moments": MOMENTS,
    }[select.inputs]
    return (each * len(select.stages),)
