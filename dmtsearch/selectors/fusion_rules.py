"""Ways to decide between classifiers without a trained selector, on the same outputs.

Each takes logits [N, modalities, classes] and gives a `Prediction`. Those that need fitting are
fitted on the outputs that a selector learns from (the draws of the `selector` split), never on
what they are scored on.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dmtsearch.selectors.decision import Prediction, is_right, select_modality
from dmtsearch.selectors.features import moments_of

Method = Callable[[Tensor], Prediction]

TEMPERATURES = (0.05, 20.0)
"""Fitted temperatures lie within; the ends are reached where a classifier is never wrong, or no
better than chance."""

STACKING_CELLS = 20_000_000
"""Stacking is fitted up to so many rows x features x classes; beyond, it would take minutes."""


@dataclass(frozen=True)
class FusionRules:
    """Every method by name, and why one is missing.

    Attributes:
        methods: In the order in which a report shows them.
        temperatures: Fitted, by modality.
        missing: Reason by name.
    """

    methods: Mapping[str, Method]
    temperatures: Mapping[str, float]
    missing: Mapping[str, str]


def fit_rules(logits: Tensor, labels: Tensor, modalities: Sequence[str]) -> FusionRules:
    """Return all rules but the oracle (`oracle`), fitted on the draws of a selector split.

    Args:
        logits: [N, M, K].
        labels: [N].
        modalities: Their names, in order.
    """
    temperatures = {
        name: fit_temperature(logits[:, position], labels)
        for position, name in enumerate(modalities)
    }
    found = unfitted_rules(temperatures, {})
    try:
        return replace(found, methods={**found.methods, "stacking": fit_stacking(logits, labels)})
    except CannotFitError as reason:
        return replace(found, missing={"stacking": str(reason)})


def unfitted_rules(temperatures: Mapping[str, float], missing: Mapping[str, str]) -> FusionRules:
    """Return the rules that need no fit but temperatures, by modality in order."""
    methods: dict[str, Method] = {
        f"only_{name}": _alone(position) for position, name in enumerate(temperatures)
    }
    methods |= {
        "max_softmax": max_softmax,
        "temperature_max_softmax": scaled(list(temperatures.values()), max_softmax),
        "margin": margin,
        "entropy": entropy,
        "energy": energy,
        "sum_rule": sum_rule,
        "product_rule": product_rule,
    }
    return FusionRules(methods, dict(temperatures), dict(missing))


def _alone(position: int) -> Method:
    return lambda logits: alone(logits, position)


def alone(logits: Tensor, position: int) -> Prediction:
    """One modality decides everything."""
    chosen = torch.full((len(logits),), position, device=logits.device)
    return select_modality(logits, chosen)


# -- rules that select one modality (ties: the lowest index) -----------------------------------


def max_softmax(logits: Tensor) -> Prediction:
    """Select the modality with the largest class probability (Hendrycks and Gimpel, 2017)."""
    return select_modality(logits, moments_of(logits.double())[..., 0].argmax(dim=1))


def margin(logits: Tensor) -> Prediction:
    """Select the one whose largest probability is furthest above its second."""
    return select_modality(logits, moments_of(logits.double())[..., 1].argmax(dim=1))


def entropy(logits: Tensor) -> Prediction:
    """Select the one whose class probabilities have the lowest entropy."""
    return select_modality(logits, moments_of(logits.double())[..., 2].argmin(dim=1))


def energy(logits: Tensor) -> Prediction:
    """Select the one with the lowest energy, -ln sum exp z (Liu et al., 2020)."""
    return select_modality(logits, moments_of(logits.double())[..., 3].argmin(dim=1))


def scaled(temperatures: Sequence[float], rule: Method) -> Method:
    """The rule on logits that are divided by a temperature for each modality."""
    return lambda logits: rule(
        logits / torch.tensor(temperatures, dtype=torch.float64, device=logits.device)[:, None]
    )


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature by which a classifier's logits [N, K] have the lowest mean NLL.

    Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2. Their gradient
    descent is scipy's bounded minimisation here: in 1/T the NLL is convex.
    """
    from scipy.optimize import minimize_scalar

    logits = logits.double()

    def nll(inverse: float) -> float:
        return float(torch.nn.functional.cross_entropy(logits * inverse, labels))

    bounds = tuple(1 / end for end in reversed(TEMPERATURES))
    found = minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return 1 / float(found.x)


# -- rules that fuse all modalities -----------------------------------------------------------


def sum_rule(logits: Tensor) -> Prediction:
    """Mean of the class probabilities (Kittler et al., "On Combining Classifiers", 1998, eq. 11).

    With equal priors, as in all of these rules.
    """
    log_probs = torch.log_softmax(logits.double(), dim=-1)
    return Prediction(torch.logsumexp(log_probs, dim=1) - torch.tensor(logits.shape[1]).log())


def product_rule(logits: Tensor) -> Prediction:
    """Product of the class probabilities, normalised (Kittler et al., 1998, eq. 7)."""
    summed = torch.log_softmax(logits.double(), dim=-1).sum(dim=1)
    return Prediction(torch.log_softmax(summed, dim=-1))


class CannotFitError(Exception):
    """Carries why a rule cannot be fitted here."""


def fit_stacking(logits: Tensor, labels: Tensor) -> Method:
    """Logistic regression on all class log-probabilities side by side (Wolpert, 1992).

    scikit-learn's, with its default penalty (C = 1), on features of mean 0 and deviation 1.
    A class that has no sample here is never answered.

    Raises:
        CannotFitError: It would take too long, or there is one class only.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    num, modalities, classes = logits.shape
    cells = num * modalities * classes * classes
    if cells > STACKING_CELLS:
        raise CannotFitError(
            f"{num:,} rows of {modalities * classes} features in {classes} classes are too many "
            "to fit in passing"
        )
    if bool((labels == labels[0]).all()):
        raise CannotFitError("the selector split has one class only")
    features = _stacked(logits)
    mean, std = features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=1e-9)
    model = LogisticRegression(max_iter=200)
    with warnings.catch_warnings():
        # 200 steps are enough for a baseline; the last digits of its weights change no decision.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(((features - mean) / std).cpu().numpy(), labels.cpu().numpy())
    weight, bias = _per_class(torch.as_tensor(model.coef_), torch.as_tensor(model.intercept_))
    known = torch.as_tensor(model.classes_).long()

    def stack(given: Tensor) -> Prediction:
        device = given.device
        scaled = (_stacked(given) - mean) / std
        found = scaled @ weight.to(device).T + bias.to(device)
        full = torch.full((len(given), classes), float("-inf"), dtype=torch.float64, device=device)
        full[:, known.to(device)] = torch.log_softmax(found, dim=-1)
        return Prediction(full)

    return stack


def _stacked(logits: Tensor) -> Tensor:
    # A probability of 1e-12 says all that a smaller one would; the logarithm stays of one size.
    return torch.log_softmax(logits.double(), dim=-1).clamp(min=-27.6).flatten(1)


def _per_class(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """One row a class; scikit-learn has a single row for two classes."""
    if len(weight) > 1:
        return weight, bias
    return torch.cat([torch.zeros_like(weight), weight]), torch.cat([torch.zeros_like(bias), bias])


def oracle(logits: Tensor, labels: Tensor) -> Prediction:
    """Select a modality that is right, wherever there is one; the first of several.

    It knows the labels: a bound for everything that selects one modality, not for fusion.
    """
    return select_modality(logits, is_right(logits, labels).int().argmax(dim=1))
