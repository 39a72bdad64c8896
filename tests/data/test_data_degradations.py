"""Degradations: pure functions of (kind, severity, seed, split, sample, draw)."""

import pytest
import torch

from dmtsearch.data import (
    DEGRADATIONS,
    Moments,
    degradation_table,
    degrade,
    find_levels,
    sample_rng,
)

FORMS = [(kind, form) for kind, one in DEGRADATIONS.items() for form in one.functions]
SEVERITIES = (0.0, 0.25, 0.5, 0.75, 1.0)


def made(form: str, n: int = 64) -> tuple[torch.Tensor, Moments]:
    rng = torch.Generator().manual_seed(0)
    if form == "images":
        x = torch.randint(0, 256, (n, 1, 12, 16), generator=rng, dtype=torch.uint8)
        return x, Moments(torch.tensor([0.5]), torch.tensor([0.29]))
    x = torch.randn(n, 10, generator=rng) * 2 + 1
    return x, Moments(x.mean(dim=0), x.std(dim=0))


def spoilt(
    kind: str, form: str, severity: float, index: torch.Tensor, **where: int
) -> torch.Tensor:
    x, moments = made(form)
    draw = torch.full_like(index, where.get("draw", 0))
    chance = sample_rng(index, draw, seed=where.get("seed", 0), split="selector", use=kind)
    levels = find_levels(x, moments)
    each = torch.full((len(index),), severity)
    return DEGRADATIONS[kind].functions[form](x[index].float(), each, levels, chance)


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_severity_zero_changes_nothing_and_more_of_it_changes_more(kind, form):
    index = torch.arange(64)
    x = made(form)[0].float()
    distances = [
        float((spoilt(kind, form, severity, index) - x).square().mean()) for severity in SEVERITIES
    ]
    # The read-out noise of low light is there at any severity above 0.
    assert distances[0] == 0
    assert distances == sorted(distances)
    assert distances[-1] > distances[1] > 0


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_a_sample_is_spoilt_alike_in_any_batch_and_unlike_in_another_draw(kind, form):
    whole = spoilt(kind, form, 0.6, torch.arange(64))
    some = torch.tensor([40, 3, 17])
    assert torch.equal(spoilt(kind, form, 0.6, some), whole[some])
    if kind not in ("blur",) and (kind, form) != ("missing", "images"):
        assert not torch.equal(spoilt(kind, form, 0.6, torch.arange(64), draw=1), whole)
        assert not torch.equal(spoilt(kind, form, 0.6, torch.arange(64), seed=1), whole)


def test_salt_and_pepper_hits_half_of_its_severity():
    x = made("images")[0].float()
    changed = (spoilt("salt_pepper", "images", 0.8, torch.arange(64)) != x).float().mean()
    # 0.5 * 0.8 of the pixels; some are black or white already. n = 12,288: sd .0044.
    assert float(changed) == pytest.approx(0.4, abs=0.02)


def test_an_occluded_block_covers_its_share_with_one_level():
    x = made("images")[0].float()
    found = spoilt("occlusion_block", "images", 1.0, torch.arange(64))
    covered = (found != x).float().mean()
    assert float(covered) == pytest.approx(0.75, abs=0.06)
    for image, before in zip(found, x, strict=True):
        levels = image[image != before].unique()
        assert len(levels) == 1


def test_a_missing_image_is_black_and_missing_features_hold_their_mean():
    assert not spoilt("missing", "images", 1.0, torch.arange(64)).any()
    _, moments = made("features")
    found = spoilt("missing", "features", 1.0, torch.arange(64))
    torch.testing.assert_close(found, moments.mean.expand_as(found))


def test_a_block_of_features_has_the_wanted_length_around_the_end_too():
    x, moments = made("features")
    found = spoilt("block", "features", 0.3, torch.arange(64))
    held = (found == moments.mean) & (found != x)
    assert held.sum(dim=1).tolist() == [3] * 64


def degraded(x: torch.Tensor, kind: str, severity: float, moments: Moments) -> torch.Tensor:
    return degrade(
        x, kind=kind, severity=severity, seed=0, split="val", index=torch.arange(len(x)),
        moments=moments,
    )  # fmt: skip


def test_noise_of_features_is_three_of_their_own_deviations():
    moments = Moments(torch.zeros(2), torch.tensor([2.0, 0.5]))
    found = degraded(torch.zeros(8000, 2), "noise", 0.5, moments)
    # 3 * 0.5 * (2, 0.5) = (3, 0.75); n = 8,000: relative standard error .8 %.
    torch.testing.assert_close(found.std(0), torch.tensor([3.0, 0.75]), rtol=0.03, atol=0)


def test_blur_has_a_share_of_the_shorter_side_as_its_deviation():
    point = torch.zeros(1, 1, 40, 61)
    point[:, :, 20, 30] = 1
    found = degraded(point, "blur", 0.5, Moments(torch.zeros(1), torch.ones(1)))
    places = torch.arange(61) - 30.0
    # 0.15 * 0.5 * 40 = 3 pixels, a variance of 9; the kernel is cut at 6 deviations.
    variance = (found[0, 0].sum(0) * places.square()).sum()
    assert float(variance) == pytest.approx(9.0, rel=0.01)


def test_of_a_missing_image_the_last_rows_are_black():
    x, moments = made("images")
    found = degraded(x, "missing", 0.25, moments)
    assert torch.equal(found[:, :, :9], x[:, :, :9])  # 12 rows less a quarter
    assert not found[:, :, 9:].any()


def test_the_table_of_severities_has_each_kind_and_what_it_falls_on():
    head, line, *rows = degradation_table().splitlines()
    assert (head, line) == ("| kind | of images | of features |", "| --- | --- | --- |")
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [kind.strip("`") for kind, _, _ in cells] == list(DEGRADATIONS)
    for kind, images, features in cells:
        told = {form for form, text in (("images", images), ("features", features)) if text != "-"}
        assert told == DEGRADATIONS[kind.strip("`")].functions.keys()
    assert cells[0][1].startswith("Gaussian noise, standard deviation 0.5 s of the range")
