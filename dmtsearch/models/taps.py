"""Taps: the activations of chosen modules during a forward pass, whole and in order."""

from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError, nearest


class _AllTapped(Exception):
    """Ends a forward pass once every tap has been seen; its argument is the `Taps` it ends in.

    Of no methods of its own, so that a compiler can follow it.
    """


class Taps:
    """Forward hooks on chosen modules, taken in a `with` and given back in any case.

    ```python
    with Taps(model, ["block2"]) as taps:
        logits = taps(x)
        hint = taps.maps["block2"]
    ```

    An in-place operation after a tapped module (a ReLU, a residual `+=`) would silently overwrite
    what the tap holds. The first pass in each mode (train or eval) therefore holds clones, and
    looks at the tensors' version counters afterwards; later passes clone only where a tensor was
    overwritten. Clones keep the gradient. A direct call of `model` passes the taps by.

    Args:
        model: The net; it is changed in nothing but its hooks, and these only inside the `with`.
        paths: Module paths, as `find_path` gives them; a path given twice is one tap.
        stop: Layers after the last tap do not run: neither their compute is spent nor does their
            BatchNorm move. The call then returns None.
        forward: What to call in place of `model`, where that is wrapped.
        compiler: What the whole pass goes through, hooks and all, such as `torch.compile`.

    Attributes:
        maps: Activations of the latest call by path, with their gradient; a new dict each call.

    Raises:
        ModelError: A path does not exist; in a call, a tapped module did not run, ran twice, gave
            something other than a tensor, or was overwritten on a way that earlier calls did not
            take. With `stop`, only the calls up to the last tap are seen.
    """

    def __init__(
        self,
        model: nn.Module,
        paths: Sequence[str],
        *,
        stop: bool = False,
        forward: Callable[..., Any] | None = None,
        compiler: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None,
    ) -> None:
        self.maps: dict[str, Tensor] = {}
        self._model, self._stop = model, stop
        self._forward = model if forward is None else forward
        self._pass = self._run if compiler is None else compiler(self._run)
        self._modules = {path: find_module(model, path) for path in paths}
        self._handles: list[Any] = []
        self._running = False
        self._seen: dict[str, tuple[Tensor, int]] = {}
        self._untouched: dict[bool, set[str]] = {}
        for path, module in self._modules.items():
            if isinstance(module, torch.jit.ScriptModule):
                raise ModelError(
                    f"inside TorchScript no module can be tapped, {path!r} neither; give the "
                    "torch.nn.Module that it was made from"
                )
        if stop and not self._modules:
            raise ModelError("a forward pass that stops after its last tap needs a tap")

    def __enter__(self) -> "Taps":
        for path, module in self._modules.items():
            self._handles.append(module.register_forward_hook(partial(self._keep, path)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._seen = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model on the arguments; return its output, or None where it was stopped."""
        if self._modules and not self._handles:
            raise ModelError("taps are called outside their `with`, where no hook is set")
        self.maps, self._seen = {}, {}
        self._running = True
        try:
            output = self._pass(*args, **kwargs)
        finally:
            self._running = False
        missed = [path for path in self._modules if path not in self.maps]
        if missed:
            raise ModelError(f"module {missed[0]!r} did not run in this forward pass; tap another")
        self._look()
        return output

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._forward(*args, **kwargs)
        except _AllTapped as stopped:
            if stopped.args[0] is not self:
                raise
            return None

    def _keep(self, path: str, module: nn.Module, args: object, output: object) -> None:
        if not self._running:
            return
        if not isinstance(output, Tensor):
            raise ModelError(
                f"module {path!r} gives a {type(output).__name__}, a tap needs one tensor; "
                "tap a module inside it or after it"
            )
        if path in self.maps:
            raise ModelError(
                f"module {path!r} runs more than once in a forward pass, so that its activation "
                "is ambiguous; tap its parent or the module after it"
            )
        if torch.compiler.is_compiling() or output.is_inference():
            self.maps[path] = output.clone()  # no version counter to look at
        else:
            self._seen[path] = output, output._version
            held = path in self._untouched.get(self._model.training, ())
            self.maps[path] = output if held else output.clone()
        if self._stop and len(self.maps) == len(self._modules):
            raise _AllTapped(self)

    def _look(self) -> None:
        """Learn in a mode's first pass which taps need no clone; in later ones, see it hold."""
        still = {path for path, (tensor, was) in self._seen.items() if tensor._version == was}
        known = self._untouched.setdefault(self._model.training, still)
        overwritten = sorted(known & self._seen.keys() - still)
        self._seen = {}
        if overwritten:
            raise ModelError(
                f"the activation of {overwritten[0]!r} was overwritten in place, which it was not "
                "in the first forward pass; tap another module"
            )


def find_module(model: nn.Module, path: str) -> nn.Module:
    """Return the submodule at a path.

    Raises:
        ModelError: There is none; the text has the nearest path.
    """
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if not path or path not in modules:
        raise ModelError(f"no module {path!r}{nearest(path, [name for name in modules if name])}")
    return modules[path]
