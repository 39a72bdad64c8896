"""`degrade`: one call to spoil samples as stored."""

from itertools import pairwise
from typing import get_args

import pytest
import torch

from dmtsearch.data import DEGRADATIONS, Moments, data_form, degrade, fitting_kinds, gaussian_blur
from dmtsearch.errors import DataError
from dmtsearch.names import Degradation

N = 96
KINDS = [(kind, form) for kind, way in DEGRADATIONS.items() for form in way.functions]
BY_CHANCE = [pair for pair in KINDS if pair not in (("blur", "images"), ("missing", "images"))]


def made(form, *, dtype=torch.uint8):
    """Smooth pictures of 2 channels, or features of unlike means and spreads."""
    rng = torch.Generator().manual_seed(1)
    if form == "images":
        coarse = torch.rand(N, 2, 3, 4, generator=rng)
        x = torch.nn.functional.interpolate(coarse, size=(12, 16), mode="bilinear")
        moments = Moments(x.mean((0, 2, 3)), x.std((0, 2, 3)))
        return (x * 255).round().to(dtype) if dtype == torch.uint8 else x, moments
    x = torch.randn(N, 10, generator=rng) * torch.arange(1, 11) + 5
    return x, Moments(x.mean(0), x.std(0))


def spoil(kind, form="images", severity=0.6, *, some=slice(None), dtype=torch.uint8, **where):
    x, moments = made(form, dtype=dtype)
    settings = {"seed": 3, "split": "selector", "draw": 2, "modality": "a", **where}
    index = torch.arange(N)[some] + 500
    if isinstance(severity, torch.Tensor):
        severity = severity[some]
    return degrade(x[some], kind=kind, severity=severity, index=index, moments=moments, **settings)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(("kind", "form"), KINDS)
def test_severity_zero_returns_the_very_same_values(kind, form, dtype):
    x = made(form, dtype=dtype)[0]
    spoilt = spoil(kind, form, 0.0, dtype=dtype)
    assert torch.equal(spoilt, x)
    assert spoilt.dtype == x.dtype


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(("kind", "form"), KINDS)
def test_the_mean_distance_grows_with_severity(kind, form, dtype):
    x = made(form, dtype=dtype)[0].float()
    distances = [
        float((spoil(kind, form, severity, dtype=dtype).float() - x).abs().mean())
        for severity in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    ]
    assert all(one < other for one, other in pairwise(distances))


@pytest.mark.parametrize(("kind", "form"), KINDS)
def test_a_sample_is_the_same_alone_and_in_any_batch_with_any_others_severity(kind, form):
    severity = torch.linspace(0, 1, N)
    whole = spoil(kind, form, severity)
    some = torch.tensor([70, 3, 95, 3])
    assert torch.equal(spoil(kind, form, severity, some=some), whole[some])
    assert torch.equal(spoil(kind, form, float(severity[40]))[40], whole[40])


def test_a_large_batch_is_worked_through_in_parts_that_change_nothing(monkeypatch):
    whole = spoil("noise")
    monkeypatch.setattr("dmtsearch.data.degradations._CHUNK", 1000)
    assert torch.equal(spoil("noise"), whole)


@pytest.mark.parametrize(("kind", "form"), BY_CHANCE)
@pytest.mark.parametrize(
    "other", [{"seed": 4}, {"split": "val"}, {"draw": 3}, {"modality": "b"}], ids=str
)
def test_another_seed_split_draw_or_modality_spoils_otherwise(kind, form, other):
    assert not torch.equal(spoil(kind, form, **other), spoil(kind, form))


@pytest.mark.parametrize(("kind", "form"), BY_CHANCE)
def test_draws_may_be_given_for_each_sample(kind, form):
    draws = torch.arange(N) % 3
    mixed = spoil(kind, form, draw=draws)
    for draw in range(3):
        some = (draws == draw).nonzero()[:, 0]
        assert torch.equal(mixed[some], spoil(kind, form, draw=draw)[some])


def test_no_generator_is_touched():
    before = torch.get_rng_state()
    spoil("noise")
    assert torch.equal(torch.get_rng_state(), before)


def test_noise_has_half_the_range_times_severity_as_its_deviation():
    x = torch.full((40, 1, 20, 20), 128, dtype=torch.uint8)
    spoilt = degrade(x, kind="noise", severity=0.2, seed=0, split="val", index=torch.arange(40))
    # 0.5 * 0.2 * 255 = 25.5; n = 16,000: relative standard error .6 %.
    assert spoilt.float().std().item() == pytest.approx(25.5, rel=0.03)
    assert spoilt.float().mean().item() == pytest.approx(128, abs=1)


def test_the_range_of_float_images_is_four_deviations_around_the_training_mean():
    moments = Moments(torch.tensor([10.0]), torch.tensor([3.0]))
    x = torch.full((40, 1, 20, 20), 10.0)
    settings = {"seed": 0, "split": "val", "index": torch.arange(40), "moments": moments}
    noisy = degrade(x, kind="noise", severity=0.5, **settings)
    # 0.5 * 0.5 * (4 * 3) = 3.
    assert noisy.std().item() == pytest.approx(3.0, rel=0.03)
    assert degrade(x, kind="missing", severity=1.0, **settings).unique().tolist() == [4.0]


def test_low_light_at_full_severity_is_five_stops_darker():
    x = torch.full((40, 1, 20, 20), 224, dtype=torch.uint8)
    dark = degrade(x, kind="low_light", severity=1.0, seed=0, split="val", index=torch.arange(40))
    # 224 / 32 = 7, and noise of deviation 0.02 * 255 = 5.1, cut at 0: mean of max(0, N(7, 5.1)).
    assert dark.float().mean().item() == pytest.approx(7.22, abs=0.15)


@pytest.mark.parametrize("kind", ["occlusion_block", "occlusion_stripe", "salt_pepper"])
def test_what_a_small_severity_covers_a_larger_one_covers_too(kind):
    x = made("images")[0]
    covered = [spoil(kind, severity=severity) != x for severity in (0.1, 0.3, 0.5, 0.9)]
    for less, more in pairwise(covered):
        # A grey level that an image happens to have where it is covered makes no difference.
        assert (less & ~more).float().mean() < 1e-4


def test_a_stripe_reaches_from_border_to_border_either_way():
    x = made("images")[0]
    covered = (spoil("occlusion_stripe", severity=0.5) != x).any(dim=1)
    lying = (covered.sum(2) >= 15).any(1)
    standing = (covered.sum(1) >= 11).any(1)
    assert lying.sum() > 20
    assert standing.sum() > 20
    # 0.75 * 0.5 of 12 rows is 4.5, rounded to 4; of 16 columns 6.
    assert int((covered.sum(2) > 8).sum(1)[lying & ~standing].max()) == 4


def test_occlusion_is_a_block_or_a_stripe_about_equally_often():
    chance = {"seed": 3, "split": "val", "index": torch.arange(200)}
    x = torch.zeros(200, 1, 16, 16, dtype=torch.uint8) + 1
    covered = degrade(x, kind="occlusion", severity=0.7, **chance) != x
    full = covered[:, 0].all(1).any(1) | covered[:, 0].all(2).any(1)
    assert 70 < int(full.sum()) < 130


def test_missing_features_are_those_below_their_own_chance():
    _, moments = made("features")
    lost = spoil("missing", "features", 0.3) == moments.mean
    assert float(lost.float().mean()) == pytest.approx(0.3, abs=0.05)
    assert not (lost & ~(spoil("missing", "features", 0.6) == moments.mean)).any()


def test_blur_keeps_an_even_picture_and_spreads_a_point_to_its_deviation():
    even = torch.full((1, 1, 9, 9), 7.0)
    torch.testing.assert_close(gaussian_blur(even, torch.tensor([2.0]), radius=6), even)
    point = torch.zeros(2, 1, 41, 41)
    point[:, :, 20, 20] = 1
    spread = gaussian_blur(point, torch.tensor([0.0, 2.0]), radius=8)
    assert torch.equal(spread[0], point[0])
    places = torch.arange(41) - 20.0
    assert float((spread[1, 0].sum(0) * places.square()).sum()) == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "nois"}, "no degradation 'nois'; did you mean 'noise'"),
        ({"kind": "block"}, "'block' is not for images, and the data holds images; for images: "
         "noise, salt_pepper, occlusion, occlusion_block, occlusion_stripe, blur, low_light, mis"),
        ({"severity": 1.2}, "a severity lies between 0 and 1, got 1.2"),
        ({"severity": float("nan")}, "a severity lies between 0 and 1, got nan"),
        ({"x": torch.rand(N, 2, 12, 16)}, "noise of images in torch.float32 needs the moments"),
        ({"x": torch.zeros(N, 4, dtype=torch.uint8)}, "noise of features in torch.uint8 needs"),
        ({"x": torch.rand(N, 4), "kind": "blur"}, "'blur' is not for features, .* for features: "
         "noise, missing, block"),
    ],
)  # fmt: skip
def test_what_cannot_be_spoilt_is_refused(changes, message):
    settings = {"x": made("images")[0], "kind": "noise", "severity": 0.5, **changes}
    x = settings.pop("x")
    with pytest.raises(DataError, match=message):
        degrade(x, seed=0, split="val", index=torch.arange(N), **settings)


def test_an_empty_batch_stays_empty():
    x = torch.zeros(0, 1, 4, 4, dtype=torch.uint8)
    index = torch.zeros(0, dtype=torch.int64)
    assert (
        degrade(x, kind="noise", severity=1.0, seed=0, split="val", index=index).shape == x.shape
    )


def test_every_kind_says_what_its_severity_stands_for():
    for way in DEGRADATIONS.values():
        assert way.physical.keys() == way.functions.keys()
        assert all(len(text) > 20 for text in way.physical.values())


def test_the_kinds_are_those_that_a_schedule_may_name():
    assert list(get_args(Degradation)) == list(DEGRADATIONS)


def test_the_form_of_data_says_which_kinds_fall_on_it():
    assert fitting_kinds(data_form((7,))) == ("noise", "missing", "block")
    assert set(fitting_kinds(data_form((1, 8, 8)))) == set(DEGRADATIONS) - {"block"}
