"""That val scores the epoch that it chose is said where arms are compared on val."""

import pytest
from made_run import MadeRun

from dmtsearch.reporting import kept_epoch_words, read_run
from dmtsearch.space import parse_space

SPACE = """\
dmtsearch: 1
name: kept
data: {name: digits}
stages:
  student:
    model: {family: plain, widths: [4, 8, 16, 32]}
    keep: KEEP
    epochs: {choice: [5, 40]}
"""


def words(tmp_path, keep, *trials):
    text = SPACE.replace("KEEP", keep)
    run = MadeRun(tmp_path / "run", parse_space(text, "space.yaml"))
    run.start(text)
    for epochs in trials:
        values = {"student.epochs": epochs}
        run.finish(run.propose("search", run.space.fill(values), values), 0.9)
    return kept_epoch_words(read_run(run.stop()))


@pytest.mark.parametrize(
    ("trials", "end"),
    [
        pytest.param(
            (5, 40),
            "Here it trains for 5 to 40 epochs, and the longer trainings are favoured; the test "
            "split, on which `dmtsearch confirm` compares, has chosen nothing.",
            id="of several lengths",
        ),
        pytest.param((5,), "Here all trials and arms train it for 5 epochs.", id="of one length"),
    ],
)
def test_val_that_chose_the_epoch_is_said_to_be_too_good_beside_the_arms_epochs(
    tmp_path, trials, end
):
    found = words(tmp_path, "best", *trials)
    assert found.startswith("Val both chooses the epoch that student keeps (`keep: best`)")
    assert found.endswith(end)


def test_nothing_is_said_where_the_last_epoch_is_kept_or_nothing_has_ended(tmp_path):
    assert words(tmp_path / "last", "last", 5, 40) is None
    assert words(tmp_path / "none", "best") is None
