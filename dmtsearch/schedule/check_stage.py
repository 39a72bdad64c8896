"""Rules between the fields of one stage: what must stand together, what has no effect."""

from collections.abc import Iterable, Mapping

from .forms import (
    MERIT_FIELDS,
    NEED_SOURCE,
    NOT_IN_DEFAULTS,
    NOT_IN_SELECT,
    OPTIMIZER_FIELDS,
    SELECT_ONLY,
    SOFT_FIELDS,
    STEP_FIELDS,
    SWITCH_FIELDS,
    soft_form,
)
from .merge import Merged, is_inherited
from .node import Node
from .problems import Report
from .unroll import learns_from_all


class StageCheck:
    """The rules of one stage. What a broken field would decide is left open.

    Args:
        stage: The stage with what it inherits.
        report: Takes the problems.
    """

    def __init__(self, stage: Merged, report: Report) -> None:
        self.stage, self.report = stage, report

    def run(self) -> None:
        """Check everything that needs no other stage and is not about the model."""
        if self.stage.is_select:
            self._select()
        else:
            self._select_only()
            self._sources()
            self._soft()
            self._merit()
            self._hints()
        self._optimizer()
        self._switch()
        self._order()

    def knows(self, *fields: str) -> bool:
        """Whether none of these fields is broken."""
        return not self.stage.broken.intersection(fields)

    def idle(self, path: tuple[str, ...], why: str, because: Iterable[Node | None] = ()) -> None:
        """A field without effect: refused, unless a hole's draw made it so."""
        node = self.stage.written(*path)
        if node is None or not self.knows(path[0]):
            return
        if node.drawn or any(other is not None and other.drawn for other in because):
            self.report.dropped.append((self.stage.name, *path))
        else:
            self.report.add(node, f"has no effect: {why}; drop the field")

    def _idle_unless_off(self, field: str, why: str, because: Iterable[Node | None]) -> None:
        node = self.stage.written(field)
        if node is not None and _switched_off(node):
            self._off(field)
        else:
            self.idle((field,), why, because)

    def _off(self, field: str) -> None:
        """A field that switches off what is not there: allowed, and a drawn one is noted."""
        node = self.stage.written(field)
        if node is not None and _switched_off(node) and node.drawn:
            self.report.off.append((self.stage.name, field))

    def _select(self) -> None:
        for field in NOT_IN_SELECT:
            self.idle(
                (field,), "a `select` stage learns from the outputs of the stages it selects"
            )
        inputs = self.stage.get("inputs")
        if inputs is not None and inputs.value != "topk":
            self.idle(("k",), f"inputs is {inputs.value}, and only topk has k", [inputs])

    def _select_only(self) -> None:
        for field in SELECT_ONLY[1:]:
            self.idle((field,), "only a stage with `select` has it")

    def _sources(self) -> None:
        if not self.knows("source", "repeat") or self.stage.sources:
            return
        repeat = self.stage.get("repeat")
        if repeat is not None and (repeat.drawn or repeat.value not in (0, 1)):
            return  # the second copy learns from the first
        source = self.stage.get("source")
        for field in NEED_SOURCE:
            self._idle_unless_off(field, "the stage has no source", [source])
        self.idle(("hard", "weight"), "the stage has no source, so labels weigh 1", [source])

    def _soft(self) -> None:
        if not self.knows("soft", "source", "repeat"):
            return
        if self.stage.block("soft") is not None:
            loss = self.stage.value("soft", "loss", default="kl")
            self._of_form("soft", "loss", soft_form(loss), SOFT_FIELDS)
        sources = self.stage.sources
        alone = len(sources) == 1 and not learns_from_all(self.stage)
        if alone:
            for field in ("combine", "drop"):
                self.idle(("soft", field), "there is one source", [self.stage.get("source")])
        soft = self.stage.get("soft")
        if sources and soft is not None and soft.value == "none":
            self.idle(("hard", "weight"), "soft is none, so labels weigh 1", [soft])
        weight = self.stage.get("soft", "weight")
        if weight is None or not isinstance(weight.value, int | float) or weight.value <= 1:
            return
        if self.knows("hard") and self.stage.get("hard", "weight") is None:
            self.report.add(
                weight, "must be <= 1 where hard.weight is not given (it is 1 - weight)", weight
            )

    def _merit(self) -> None:
        merit, soft = self.stage.block("merit"), self.stage.get("soft")
        if merit is None and soft is not None and soft.value == "none":
            self._off("merit")
        if merit is None or not self.knows("merit"):
            return
        rule = merit.get("rule")
        if rule is None:
            self.report.add(merit, "is missing; write delta, hard or soft", field="rule")
        else:
            self._of_form("merit", "rule", str(rule.value), MERIT_FIELDS)
        hard = self.stage.get("hard", "weight")
        if hard is not None and self.knows("hard"):
            self.report.add(
                merit, f"cannot stand together with hard.weight ({hard.value}); drop one of them"
            )
        if soft is not None and soft.value == "none":
            self.idle(("merit",), "it moves the soft weight, and soft is none", [soft])
        elif rule is not None and rule.value == "delta" and self.knows("soft"):
            self._merit_range(merit)

    def _merit_range(self, merit: Node) -> None:
        increment, weight = merit.get("increment"), self.stage.get("soft", "weight")
        step = increment.value if increment is not None else 0.1
        middle = weight.value if weight is not None else 0.5
        if not isinstance(step, int | float) or not isinstance(middle, int | float):
            return
        for value in (middle + step, middle - step):
            # Ten digits: 0.9 + 0.1 is 1 for people, whatever it is in binary.
            if not 0 <= round(value, 10) <= 1:
                self.report.add(
                    increment or merit,
                    f"gives a sample the soft weight {round(value, 10):g} "
                    f"(soft.weight {middle:g}, increment {step:g}); it must lie in [0, 1]",
                )

    def _hints(self) -> None:
        if not self.knows("hints", "source"):
            return
        if not self.stage.hints and self.stage.sources:
            self._idle_unless_off("hint_phase", "there are no hints", [self.stage.get("hints")])
        for number, hint in enumerate(self.stage.hints):
            loss = hint.get("loss")
            if loss is not None and loss.value != "mse":
                idle = _NOT_OF_ATTENTION if loss.value == "attention" else _NOT_OF_OWN
                for field, why in idle.items():
                    self._idle_in_hint(str(number), hint, field, why)
            kernel = hint.get("adapter", "kernel")
            if kernel is not None and isinstance(kernel.value, int) and kernel.value % 2 == 0:
                self.report.add(kernel, "must be odd, so that maps keep their size", kernel)

    def _idle_in_hint(self, number: str, hint: Node, field: str, why: str) -> None:
        node, loss = hint.get(field), hint.get("loss")
        if node is None or is_inherited(node):
            return
        if node.drawn or hint.drawn or (loss is not None and loss.drawn):
            self.report.dropped.append((self.stage.name, "hints", number, field))
        else:
            self.report.add(node, f"has no effect: {why}; drop the field")

    def _optimizer(self) -> None:
        block = self.stage.block("optimizer")
        if block is None or not self.knows("optimizer"):
            return
        name = self.stage.value("optimizer", "name", default="adamw")
        schedule = self.stage.value("optimizer", "schedule", default="one_cycle")
        more = STEP_FIELDS if schedule == "step" else ()
        self._of_form("optimizer", "name", name, OPTIMIZER_FIELDS, more, schedule)
        nesterov = block.get("nesterov")
        momentum = self.stage.value("optimizer", "momentum", default=0.9)
        if nesterov is not None and nesterov.value is True and momentum == 0:
            self.report.add(nesterov, "needs a momentum above 0")

    def _of_form(
        self,
        block: str,
        key: str,
        form: str,
        table: Mapping[str, tuple[str, ...]],
        more: tuple[str, ...] = (),
        schedule: str | None = None,
    ) -> None:
        """Refuse fields that another form has; by name, so that the reader sees which do."""
        node = self.stage.block(block)
        valid = (*table[form], *more)
        for field in node.fields if node is not None else ():
            if field in valid:
                continue
            owners = [name for name, fields in table.items() if field in fields]
            of = " and ".join(owners) if owners else "schedule: step"
            is_now = f"schedule is {schedule}" if field in STEP_FIELDS else f"{key} is {form}"
            decides = "schedule" if field in STEP_FIELDS else key
            self.idle((block, field), f"{is_now}, and it belongs to {of}",
                      [self.stage.get(block, decides)])  # fmt: skip

    def _switch(self) -> None:
        block = self.stage.block("switch")
        if block is None or not self.knows("switch"):
            return
        when = self.stage.value("switch", "when", default="epochs")
        self._of_form("switch", "when", when, SWITCH_FIELDS)
        if when == "accuracy" and block.get("at_least") is None:
            self.report.add(block, "is missing; write the val accuracy to reach", field="at_least")
        schedule = self.stage.value("optimizer", "schedule", default="one_cycle")
        if when == "plateau" and schedule == "one_cycle" and self.knows("optimizer"):
            self.report.warn(
                block.get("when") or block,
                "a one-cycle rate falls only towards the last epoch, so a plateau may end the "
                "stage too early; optimizer.schedule: constant or cosine goes with it",
            )

    def _order(self) -> None:
        order, repeat = self.stage.written("order"), self.stage.written("repeat")
        if order is None or not self.knows("order", "repeat"):
            return
        if repeat is None:
            self.idle(("order",), "the stage has no `repeat`")
        else:
            self.idle(("order",), "it sorts what holes draw for each copy, and there are none")


def check_defaults(defaults: Node, report: Report) -> None:
    """Refuse what cannot be inherited."""
    for field in NOT_IN_DEFAULTS:
        node = defaults.get(field)
        if node is not None:
            report.add(node, "cannot be inherited; write it in the stage")


_NOT_OF_ATTENTION = {
    "adapter": "loss is attention, which compares where maps are active, whatever their channels",
    "scale": "loss is attention, whose maps have norm 1",
}


_NOT_OF_OWN = {"scale": "the loss is a function of your own, which scales by itself"}


def _switched_off(node: Node) -> bool:
    return node.value == "none" or node.value == []
