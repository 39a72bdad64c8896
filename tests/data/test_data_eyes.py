"""`synthetic_eyes`: drawn eyes of N identities, seen as an iris strip and as the region around."""

import pytest
import torch

from dmtsearch.data import describe_data, load_data
from dmtsearch.data.synthetic_eyes import draw_contact_sheet
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


def test_a_contact_sheet_shows_eight_identities_by_five_images(tmp_path):
    from PIL import Image

    draw_contact_sheet(tmp_path / "sheet.png", args={"identities": 8}, size=48)
    with Image.open(tmp_path / "sheet.png") as sheet:
        # Five images of 48 across; each of eight rows is an image over its strip of 12.
        assert sheet.size == (5 * 48, 8 * (48 + 12))
