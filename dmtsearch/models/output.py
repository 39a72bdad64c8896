"""What a stage's model must give: one tensor [N, classes], in train and in eval mode."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from ..errors import ModelError
from .probe import look

RESIZE = "set `head: new`, or its args so that it gives one tensor with a logit for each class"
_BATCH = 2


def check_output(
    model: nn.Module,
    in_shape: Sequence[int],
    num_classes: int,
    *,
    resize: str = RESIZE,
    modes: Sequence[bool] = (False, True),
) -> None:
    """Refuse a model that gives other than one tensor with a logit for each class.

    Args:
        model: Any net, on any device; nothing in it moves.
        in_shape: Its input without the batch.
        num_classes: Classes of the data.
        resize: What to do where only the number of outputs differs.
        modes: Whether it is in train mode; both by default, since some nets add outputs there.

    Raises:
        ModelError: It does not run on such an input, or gives something else; the text says what
            it gives and how to wrap it.
    """
    for training in modes:
        problem = look(
            model,
            in_shape,
            lambda forward, x: _problem(forward(x), num_classes, resize),
            batch=_BATCH,
            training=training,
        )
        if problem is not None:
            given, remedy = problem
            mode = "train" if training else "eval"
            raise ModelError(
                f"the model gives {given} in {mode} mode, the data needs [N, {num_classes}]; "
                f"{remedy}"
            )


def _problem(output: object, num_classes: int, resize: str) -> tuple[str, str] | None:
    """What the model gives, in words, and what to do; None where it is right."""
    if isinstance(output, Tensor):
        shape = tuple(output.shape)
        if shape == (_BATCH, num_classes):
            return None
        if shape[:2] == (_BATCH, num_classes) and set(shape[2:]) == {1}:
            return _shape(output), f"flatten it: {_wrapped('.flatten(1)')}"
        return _shape(output), resize
    parts = _parts(output)
    shown = ", ".join(f"{name}: {_shape(part)}" for name, part in list(parts.items())[:4])
    given = f"{kind_of(output)} of {len(parts)} ({shown})" if parts else kind_of(output)
    logits = next(
        (
            name
            for name, part in parts.items()
            if isinstance(part, Tensor) and tuple(part.shape) == (_BATCH, num_classes)
        ),
        None,
    )
    pick = f"[{logits}]" if logits is not None else "[...] (the logits among them)"
    return given, (
        "a stage learns and teaches by one tensor of logits: switch other outputs off in the "
        f"model's args (such as `aux_logits: false`), or wrap it: {_wrapped(pick)}"
    )


def _wrapped(pick: str) -> str:
    return f"a module that holds the net and has forward(x): return self.net(x){pick}"


def _parts(output: object) -> Mapping[str, object]:
    """The outputs inside a container, by what stands in the brackets that pick them."""
    if isinstance(output, Mapping):
        return {repr(name): value for name, value in output.items()}
    if isinstance(output, tuple | list):
        return {str(number): value for number, value in enumerate(output)}
    return {}


def kind_of(output: object) -> str:
    """The type of something with its article: `a tuple`, `an OrderedDict`."""
    name = type(output).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _shape(output: object) -> str:
    if not isinstance(output, Tensor):
        return kind_of(output)
    if output.dim() == 0:
        return "one number"
    return f"[N, {', '.join(map(str, output.shape[1:]))}]" if output.dim() > 1 else "[N]"
