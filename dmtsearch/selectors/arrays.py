"""The selector on plain arrays, with scikit-learn's interface: for users with own classifiers."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dmtsearch.errors import (
    BundleError,
    DataError,
    DivergedError,
    DmtSearchError,
    UsageError,
    nearest,
)
from dmtsearch.models import build_model
from dmtsearch.schedule import AdamW, Select
from dmtsearch.seeding import derive_seed
from dmtsearch.selectors.array_checks import (
    check_answers,
    check_labels,
    check_outputs,
    check_params,
    check_reliable,
)
from dmtsearch.selectors.array_file import read_selector, write_selector
from dmtsearch.selectors.decision import Prediction, is_right, predict_with, targets_of
from dmtsearch.selectors.features import selector_features, selector_inputs
from dmtsearch.selectors.net import SelectorDataset, SelectorNet, selector_phase
from dmtsearch.training.loop import PhaseState, run_phase
from dmtsearch.training.profile import Profile, computing
from dmtsearch.training.progress import go_on

TINY = 1e-12
"""Probabilities below are taken as this, so that their logarithm exists."""

Arrays = Mapping[str, npt.ArrayLike | None]
"""Class probabilities [samples, classes] by modality. Where it answers, a modality may be
missing: None or left out, a row of NaN for single samples; then the others decide."""


class Selector:
    """Selects, per sample, which of several classifiers decides.

    It reads nothing but the classifiers' class probabilities, and learns which modality is right
    (samples on which not exactly one is right teach nothing), or which one is reliable where that
    is known. Fit it on outputs for samples that the classifiers were not trained on. Where it
    predicts, a modality may be missing (see `Arrays`): it is never selected then.

        selector = Selector(k=5).fit({"iris": P_iris, "face": P_face}, labels)
        selector.predict({"iris": Q_iris, "face": Q_face})

    Args:
        inputs: What it reads: `topk` (the k largest probabilities, sorted), `posterior`,
            `logits` (log-probabilities), `moments` (max, margin, entropy, energy; the energy of
            normalised outputs is 0).
        k: For `topk`, at most the number of classes.
        hidden: Widths of the net's hidden layers; () for a linear one.
        decision: `hard`: the selected classifier decides; `soft`: class probabilities are mixed
            by the selector's softmax.
        dropout: Chance that a hidden feature is dropped in training.
        epochs: Passes over the samples.
        lr: Peak learning rate (AdamW, one cycle).
        batch: Samples a step; fewer where there are fewer.
        seed: Of weights, order and dropout; the same seed gives the same selector.

    Attributes:
        modalities_: Names, in the order of the net's outputs.
        n_classes_: Classes.
        n_features_in_: Numbers that the net reads.
        n_informative_: Samples that taught something.
    """

    modalities_: tuple[str, ...]
    n_classes_: int
    n_features_in_: int
    n_informative_: int
    _net: SelectorNet

    def __init__(
        self,
        inputs: str = "topk",
        k: int = 5,
        hidden: Sequence[int] = (32,),
        *,
        decision: str = "hard",
        dropout: float = 0.0,
        epochs: int = 50,
        lr: float = 0.01,
        batch: int = 128,
        seed: int = 0,
    ) -> None:
        self.inputs, self.k, self.hidden = inputs, k, hidden
        self.decision, self.dropout = decision, dropout
        self.epochs, self.lr, self.batch, self.seed = epochs, lr, batch, seed

    # -- scikit-learn's interface --------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """What the selector was made with, by name."""
        return {name: getattr(self, name) for name in _PARAMS}

    def set_params(self, **params: Any) -> "Selector":
        """Change what it was made with; takes effect at the next fit.

        Raises:
            UsageError: There is no such parameter.
        """
        for name, value in params.items():
            if name not in _PARAMS:
                raise UsageError(f"Selector has no parameter {name!r}{nearest(name, _PARAMS)}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"Selector({given})"

    # -- learning and answering ----------------------------------------------------------------

    def fit(
        self,
        outputs: Arrays,
        labels: npt.ArrayLike,
        reliable: Sequence[str] | npt.ArrayLike | None = None,
    ) -> "Selector":
        """Learn which modality to select.

        Args:
            outputs: Class probabilities by modality, [samples, classes] each, the same samples
                and classes in the same order; two modalities or more.
            labels: The true class of each sample, whole numbers from 0, [samples].
            reliable: The reliable modality of each sample by name, [samples], where it is known;
                the target is the modality that is right if None.

        Returns:
            Itself.

        Raises:
            DataError: What was given cannot be learned from; says which modality and sample.
            UsageError: A parameter has no such value, or `lr` is too high.
        """
        given = check_outputs(outputs)
        logits = _logits(given)
        truth = check_labels(labels, *logits.shape[::2])
        check_params(self.get_params(), logits.shape[2])
        names = tuple(given)
        if reliable is not None:
            chosen = check_reliable(reliable, names, len(truth))
            targets = torch.nn.functional.one_hot(chosen, len(names)).float()
        else:
            targets = targets_of(truth, logits, truth, target="right")
        informative = targets.sum(dim=1) > 0
        if not bool(informative.any()):
            shares = is_right(logits, truth).double().mean(dim=0).tolist()
            shown = ", ".join(
                f"{name} {share:.3f}" for name, share in zip(names, shares, strict=True)
            )
            raise DataError(
                f"on none of the {len(truth)} samples is exactly one modality right (accuracies: "
                f"{shown}), so nothing says which to select; give other samples, or `reliable`"
            )
        self.modalities_, self.n_classes_ = names, logits.shape[2]
        self.n_informative_ = int(informative.sum())
        self._train(logits, targets)
        return self

    def select(self, outputs: Arrays) -> npt.NDArray[np.str_]:
        """Name of the modality selected for each sample, [samples]."""
        selected = self._predict(outputs).selected
        assert selected is not None, "a selector selects"
        return np.array([self.modalities_[position] for position in selected.tolist()])

    def predict(self, outputs: Arrays) -> npt.NDArray[np.int64]:
        """Class of each sample, [samples]."""
        classes: npt.NDArray[np.int64] = self._predict(outputs).log_probs.argmax(dim=1).numpy()
        return classes

    def predict_proba(self, outputs: Arrays) -> npt.NDArray[np.float64]:
        """Class probabilities of each sample, [samples, classes]."""
        probabilities: npt.NDArray[np.float64] = self._predict(outputs).log_probs.exp().numpy()
        return probabilities

    def trust(self, outputs: Arrays) -> npt.NDArray[np.float64]:
        """How sure it is of each modality, [samples, modalities], rows sum to 1."""
        probs = self._predict(outputs).selector_probs
        assert probs is not None, "a selector has them"
        shares: npt.NDArray[np.float64] = probs.numpy()
        return shares

    def score(self, outputs: Arrays, labels: npt.ArrayLike) -> float:
        """Accuracy of `predict`, in [0, 1]."""
        predicted = torch.as_tensor(self.predict(outputs))
        truth = check_labels(labels, len(predicted), self.n_classes_, one_class=True)
        return float((predicted == truth).double().mean())

    # -- keeping ---------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the fitted selector to one safetensors file.

        Raises:
            BundleError: It cannot be written there.
        """
        self._refuse_unfitted()
        facts = {
            "params": {**self.get_params(), "hidden": list(self.hidden)},
            "modalities": list(self.modalities_),
            "classes": self.n_classes_,
            "informative": self.n_informative_,
        }
        write_selector(Path(path), facts, self._net.state_dict())

    @classmethod
    def load(cls, path: str | Path) -> "Selector":
        """Read what `save` wrote.

        Raises:
            BundleError: There is no such file, or it holds no selector that can be.
        """
        facts, state = read_selector(Path(path))
        params = facts.params.model_dump()
        made = cls(**{**params, "hidden": tuple(facts.params.hidden)})
        made.modalities_, made.n_classes_ = tuple(facts.modalities), facts.classes
        made.n_informative_ = facts.informative
        try:
            check_params(params, facts.classes)
            made._refuse_other_weights(state)
            made._net = made._build()
            made._net.load_state_dict(state)
        except (DmtSearchError, RuntimeError) as error:
            first = str(error).splitlines()[0]
            raise BundleError(
                f"{path}: not a selector's parameters and weights ({first})"
            ) from error
        return made

    # -- inside ----------------------------------------------------------------------------------

    def _spec(self) -> Select:
        k = int(self.k) if self.inputs == "topk" else None
        fields: Any = {"inputs": self.inputs, "k": k, "decision": self.decision}
        return Select(self.modalities_, **fields)

    def _refuse_other_weights(self, state: Mapping[str, Tensor]) -> None:
        """Refuse layers of other widths than the file's, before a net of theirs is made."""
        (features,) = selector_features(self._spec(), self.n_classes_)
        widths = [features, *self.hidden, len(self.modalities_)]
        wanted = sorted(zip(widths[1:], widths[:-1], strict=True))
        given = sorted(tuple(values.shape) for values in state.values() if values.ndim == 2)
        if given != wanted:
            raise BundleError(f"its layers are {given} by its weights, {wanted} by its header")

    def _build(self) -> SelectorNet:
        (features,) = selector_features(self._spec(), self.n_classes_)
        self.n_features_in_ = features
        hidden = [int(width) for width in self.hidden]
        model = {"family": "mlp", "hidden": hidden, "dropout": float(self.dropout)}
        net = build_model(
            model,
            in_shape=(features,),
            num_classes=len(self.modalities_),
            seed=derive_seed(self.seed, "init"),
        )
        return SelectorNet(net, features)

    def _train(self, logits: Tensor, targets: Tensor) -> None:
        self.__dict__.pop("_net", None)  # a fit that fails leaves a selector that is not fitted
        net, spec = self._build(), self._spec()
        features = selector_inputs(logits, inputs=spec.inputs, k=spec.k)
        net.measure(features)
        taught = targets.sum(dim=1) > 0
        dataset = SelectorDataset(features[taught], targets[taught])
        batch = min(self.batch, len(dataset.features))
        phase = selector_phase(
            "selector",
            net,
            dataset,
            AdamW(lr=self.lr, batch=batch, drop_last=True),
            epochs=self.epochs,
            seed=self.seed,
            validate=dict,
            keep_on=None,
            should_switch=lambda values: False,
        )
        try:
            with computing(Profile("cpu")):
                run_phase(phase, PhaseState(), listen=go_on, after_epoch=lambda state, save: None)
        except DivergedError as error:
            raise UsageError(
                f"lr is {self.lr!r}, and with it the loss was {error.value} in epoch "
                f"{error.epoch}; choose a lower one"
            ) from error
        self._net = net.eval()

    def _predict(self, outputs: Arrays) -> Prediction:
        self._refuse_unfitted()
        given, present = check_answers(outputs, names=self.modalities_, classes=self.n_classes_)
        return predict_with(self._net, self._spec(), _logits(given), present=present)

    def _refuse_unfitted(self) -> None:
        if not hasattr(self, "_net"):
            raise UsageError("this Selector is not fitted yet; call fit(outputs, labels) first")


_PARAMS = tuple(name for name in inspect.signature(Selector.__init__).parameters if name != "self")


def _logits(outputs: Mapping[str, Tensor]) -> Tensor:
    """Log-probabilities side by side, float64 [N, M, K]."""
    return torch.stack([p.clamp(min=TINY).log() for p in outputs.values()], dim=1)
