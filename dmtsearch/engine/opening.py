"""The test split of a run, opened: what trained models answer on it."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dmtsearch.errors import DamagedError, SourceMissingError
from dmtsearch.files import read_regular, write_atomic
from dmtsearch.store import Store

from .confirm_plan import ConfirmPaths
from .messages import Prepared
from .prepare import PrepareContext

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class TestSplit:
    """Scores of delivered models on the run's test split.

    Attributes:
        context: The run's data.
        store: Where the models lie.
        paths: Predicted classes are kept there, so that a model is run once.
    """

    __test__ = False  # no test of pytest's

    context: PrepareContext
    store: Store
    paths: ConfirmPaths

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.context.data.split_sizes["test"])

    def open(self, reason: str) -> None:
        """Open it, and say why; whoever opens it writes that down."""
        self.context.data.open_test(reason=reason)

    def accuracy(self, key: str, prepare: Callable[[], Prepared]) -> float:
        """Share of test samples on which a delivered model is right, in [0, 1].

        Args:
            key: Of the delivered stage.
            prepare: Its schedule, resolved; called where its answers are not kept yet.

        Raises:
            SourceMissingError: Its weights are no longer in the store.
        """
        labels = self.context.data.split("test").y.cpu().numpy()
        return float((self._predictions(key, prepare) == labels).mean())

    def _predictions(self, key: str, prepare: Callable[[], Prepared]) -> npt.NDArray[Any]:
        import numpy as np

        path = self.paths.predictions / f"{key}.npy"
        try:
            kept = np.load(io.BytesIO(read_regular(path, most=MOST_BYTES)), allow_pickle=False)
            if kept.shape == (self.n,):
                return kept  # type: ignore[no-any-return]  # numpy's load gives anything
        except (OSError, ValueError, EOFError):
            pass
        found = self._predict(prepare())
        out = io.BytesIO()
        np.save(out, found)
        with self.paths.writing():
            self.paths.predictions.mkdir(exist_ok=True)
            write_atomic(path, out.getvalue())
        return found

    def _predict(self, prepared: Prepared) -> npt.NDArray[Any]:
        import numpy as np

        from dmtsearch.training.batch import in_order
        from dmtsearch.training.evaluate import EVALUATION_BATCH, predict
        from dmtsearch.training.profile import Profile, pick_device
        from dmtsearch.training.stage_kind import MODEL_FILE
        from dmtsearch.training.stage_models import build_trained

        stage = next(s for s in prepared.stages if s.request.name == prepared.deliver)
        job = pickle.loads(stage.job)
        (net,) = job.resolved.kind.nets(job)
        stored = self.store.get(net.key)
        try:
            if stored is None:
                raise SourceMissingError(net.name, net.key, "is no longer in the store")
            weights = stored.read(MODEL_FILE)
        except DamagedError as error:
            raise SourceMissingError(net.name, net.key, "is damaged") from error
        profile = Profile(device=pick_device(None))
        model = profile.place(build_trained(net, weights, self.context.objects, job.folder))
        split = self.context.data.split("test").to(profile.torch_device)
        batches = in_order(split.x, profile.viewer(net.view), batch=EVALUATION_BATCH)
        logits = predict(model.eval(), batches, autocast=profile.autocast)
        return logits.argmax(dim=1).cpu().numpy().astype(np.int32)
