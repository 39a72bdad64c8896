"""`synthetic_eyes`: drawn eyes of N identities, seen as an iris strip and as the region around."""

import pytest
import torch

from dmtsearch.data import describe_data, load_data, read_eyes
from dmtsearch.errors import DataError

SMALL = {"identities": 4, "images": 10}


@pytest.fixture(scope="module")
def eyes():
    return load_data(name="synthetic_eyes", args=SMALL, val=8, test=8)


def test_two_views_of_one_eye_share_a_label(eyes):
    assert set(eyes.facts.shapes) == {"iris", "periocular"}
    train = eyes.split("train")
    assert len(train.x["iris"]) == len(train.x["periocular"]) == len(train.y) == 24
    assert {x.dtype for x in train.x.values()} == {torch.uint8}
    assert sorted(train.y.unique().tolist()) == [0, 1, 2, 3]


def test_it_is_described_as_it_is_drawn_without_drawing(eyes):
    facts = describe_data(name="synthetic_eyes", args=SMALL)
    assert facts.present
    assert dict(facts.shapes) == dict(eyes.facts.shapes)
    assert (facts.num_classes, facts.num_train) == (4, 40)


def test_the_same_arguments_draw_the_same_eyes_and_another_seed_others(eyes):
    again = load_data(name="synthetic_eyes", args=SMALL, val=8, test=8)
    other = load_data(name="synthetic_eyes", args={**SMALL, "seed": 1}, val=8, test=8)
    assert again.fingerprint == eyes.fingerprint != other.fingerprint
    for name, x in eyes.split("train").x.items():
        assert torch.equal(x, again.split("train").x[name])
        assert not torch.equal(x, other.split("train").x[name])


def test_without_nuisance_and_noise_an_identity_is_its_own_nearest():
    plain = {"nuisance": 0.0, "iris_noise": 0.0, "periocular_noise": 0.0}
    train = load_data(name="synthetic_eyes", args={**SMALL, **plain}, val=8, test=8).split("train")
    for x in train.x.values():
        flat = x.flatten(1).float()
        distance = torch.cdist(flat, flat) + torch.eye(len(flat)) * 1e9
        same = train.y[distance.argmin(dim=1)] == train.y
        assert float(same.float().mean()) == 1.0


def test_an_unknown_argument_is_refused_with_the_nearest():
    with pytest.raises(DataError, match="identities"):
        load_data(name="synthetic_eyes", args={"identitys": 4})


def drawn(size=None, **args):
    return read_eyes({"identities": 3, "images": 4, **args}, size).pools["train"].x


def test_further_identities_and_images_change_none_that_stand():
    few, more = drawn(), drawn(identities=4, images=6)
    chosen = torch.tensor([6 * identity + image for identity in range(3) for image in range(4)])
    for name, x in few.items():
        # Drawn in other batches: a sine may differ in its last bit, and a level by one.
        assert (x.int() - more[name][chosen].int()).abs().max() <= 1


def test_the_drawing_is_the_one_that_its_version_stands_for():
    # Mean brightness of eight fields of two images; another drawing needs another VERSION.
    expected = {
        "iris": [
            [149, 89, 125, 164, 164, 126, 126, 178],
            [130, 119, 124, 117, 137, 127, 102, 106],
        ],
        "periocular": [
            [116, 139, 168, 214, 105, 140, 164, 208],
            [129, 131, 134, 147, 160, 156, 177, 184],
        ],
    }
    for name, x in drawn(images=2).items():
        fields = torch.nn.functional.adaptive_avg_pool2d(x[[0, 3]].float(), (2, 4)).flatten(1)
        torch.testing.assert_close(fields, torch.tensor(expected[name]).float(), atol=1, rtol=0)


def test_the_fingerprint_is_the_same_on_every_machine():
    # Written down once; another value here would make every stored result on eyes unusable.
    expected = "2d7350e10fb373e0a17a1ae0de254f0130120a161bc6e2775af08e10eabec747"
    few = {"identities": 4, "images": 12}
    assert load_data(name="synthetic_eyes", args=few).fingerprint == expected
    facts = describe_data(name="synthetic_eyes")
    assert (facts.num_classes, facts.num_train) == (40, 40 * 60)


def test_what_was_drawn_once_is_not_drawn_again():
    assert drawn()["iris"] is drawn()["iris"]


def test_size_is_the_periocular_images_and_the_strip_keeps_its_shape():
    facts = describe_data(name="synthetic_eyes", args=SMALL, size=32)
    assert facts.shapes == {"iris": (1, 16, 64), "periocular": (1, 32, 32)}
    assert {name: tuple(x.shape[1:]) for name, x in drawn(size=32).items()} == facts.shapes


def test_without_spread_faces_are_alike_and_irises_still_are_not():
    plain = {"nuisance": 0.0, "iris_noise": 0.0, "periocular_noise": 0.0}
    alike, unlike = drawn(spread=0.0, **plain), drawn(spread=1.0, **plain)

    def apart(x):  # the first images of identities 0 and 2
        return float((x[0].float() - x[8].float()).abs().mean())

    # What is left of the first: side, skin and lashes' places have no spread.
    assert apart(alike["periocular"]) < 0.7 * apart(unlike["periocular"])
    # The tone of an iris has spread, its pattern has none.
    assert apart(alike["iris"]) > 0.5 * apart(unlike["iris"])


def test_noise_has_the_deviation_asked_for():
    plain = drawn(iris_noise=0.0, periocular_noise=0.0)
    noisy = drawn(iris_noise=0.08, periocular_noise=0.02)
    for name, expected in (("iris", 0.08), ("periocular", 0.02)):
        middle = (plain[name] > 70) & (plain[name] < 185)
        difference = (noisy[name].float() - plain[name].float())[middle] / 255
        assert float(difference.std()) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"identities": 1}, "data.args.identities is 1; it must be a whole number from 2"),
        ({"images": 0}, "data.args.images is 0; it must be a whole number from 1"),
        ({"seed": 1.5}, "data.args.seed is 1.5; it must be a whole number from 0"),
        ({"nuisance": -0.1}, "data.args.nuisance is -0.1; it must be a number from 0"),
        ({"iris_noise": "much"}, "data.args.iris_noise is 'much'; it must be a number from 0"),
        ({"spread": True}, "data.args.spread is True; it must be a number from 0"),
    ],
)
def test_an_argument_out_of_range_is_refused(args, message):
    with pytest.raises(DataError, match=message):
        describe_data(name="synthetic_eyes", args=args)
