"""What a selector stage, and stages on features, ask of their samples before any training."""

import pytest
from select_pieces import MLP, SelectBench, select_schedule, two_views

from dmtsearch.errors import ScheduleError
from dmtsearch.store import open_store


def problems_of(bench, made):
    with pytest.raises(ScheduleError, match=r"a\.yaml: \d+ problem") as error:
        bench.plan(made)
    return error.value.problems


def test_a_selectors_rows_are_its_draws(tmp_path):
    bench = SelectBench(two_views(), open_store(str(tmp_path)))
    # 84 samples in 8 draws are 672 rows; 61 x 11 = 671.
    optimizer = {"name": "adam", "batch": 61, "drop_last": False}
    [problem] = problems_of(
        bench, select_schedule({"model": {**MLP, "norm": True}, "optimizer": optimizer})
    )
    assert (
        "a batch of 61 leaves one sample of the selector's 8 draws of 84 samples (672)" in problem
    )
    bench.plan(select_schedule({"optimizer": optimizer}))


def test_augmentation_of_features_is_refused_where_it_would_change_nothing(tmp_path):
    bench = SelectBench(two_views(), open_store(str(tmp_path)))
    [problem] = problems_of(
        bench,
        select_schedule(stages={"b": {"modality": "b", "model": MLP, "augment": "crop_flip"}}),
    )
    assert problem.startswith(
        "stages.b.augment: crop_flip moves the pixels of images, and modality 'b' holds features "
        "(6,), so that it would change nothing; write `augment: none` in this stage  (a.yaml:"
    )
    data = {"factory": "never.imported:data", "augment": "crop_flip"}
    assert len(problems_of(bench, select_schedule(data=data))) == 2  # a and b
