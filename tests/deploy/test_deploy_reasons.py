"""Why a stage must be trained, in one sentence."""

from types import SimpleNamespace

from dmtsearch.deploy.reasons import why_new
from dmtsearch.store import Difference


class Store:
    """A store whose nearest stage differs as it is told."""

    def __init__(self, *differences):
        found = SimpleNamespace(record={"name": "iris"}, key="9" * 64)
        self.nearest = SimpleNamespace(found=found, differences=differences)

    def closest(self, preimage):
        del preimage
        return self.nearest


JOB = SimpleNamespace(name="eye", keys=SimpleNamespace(preimage={}))


def test_what_is_not_given_and_what_is_switched_off_are_no_difference():
    # Left is the kept stage: merit is off there, and here there is no source to have merit.
    merit, epochs = Difference("merit", "null", None), Difference("epochs", "4", "12")
    assert why_new(JOB, Store(merit, epochs)) == (
        "eye: not kept yet; the nearest kept stage (iris, 99999999) differs in epochs: 12 here, "
        "4 there"
    )


def test_a_field_that_one_stage_lacks_is_none_there():
    reason = why_new(JOB, Store(Difference("hard.weight", None, "1")))
    assert reason.endswith("differs in hard.weight: 1 here, none there")
    assert why_new(JOB, Store(Difference("model.hidden[0]", "4", "8"))) is None
