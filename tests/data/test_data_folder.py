"""A folder of images by class."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from dmtsearch.data import describe_data, load_data
from dmtsearch.errors import DataError, DataMissingError


def paint(path, *, size=(10, 8), mode="RGB", colour=None):
    """Write an image of `size` (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = {"RGB": (200, 100, 50), "RGBA": (200, 100, 50, 10), "L": 77}
    Image.new(mode, size, colours[mode] if colour is None else colour).save(path)


@pytest.fixture
def root(tmp_path):
    """Two classes of ten images, 10 wide and 8 high; the path is not plain ASCII."""
    folder = tmp_path / "Bilder für später"
    for number in range(10):
        paint(folder / "cat" / f"{number}.png", colour=(number, 0, 0))
        paint(folder / "dog" / f"{number}.png", colour=(number, 255, 0))
    return folder


def load(root, **settings):
    return load_data(name="image_folder", args={"root": root}, **settings)


def test_sub_folders_are_classes_in_order_of_name(root):
    data = load(root)
    assert data.classes == ("cat", "dog")
    assert data.facts.shapes == {"": (3, 8, 10)}
    train = data.split("train")
    # Dogs were painted with green 255.
    assert torch.equal(train.x[""][:, 1, 0, 0] == 255, train.y == 1)


def test_images_are_found_in_deeper_folders_and_other_files_are_left_alone(root):
    paint(root / "cat" / "old" / "x.PNG")
    (root / "cat" / "notes.txt").write_text("not an image")
    (root / ".hidden").mkdir()
    assert load(root).facts.num_train == 21


@pytest.mark.parametrize(
    ("mode", "expected"), [("L", (77, 77, 77)), ("RGBA", (200, 100, 50)), ("P", (10, 20, 30))]
)
def test_other_kinds_of_image_become_rgb(root, mode, expected):
    path = root / "cat" / "0.png"
    if mode == "P":
        palette = Image.new("P", (10, 8), 0)
        palette.putpalette([10, 20, 30] + [0] * 765)
        palette.save(path, transparency=bytes([3]))
    else:
        paint(path, mode=mode)
    data = load(root)
    data.open_test(reason="the image may have fallen there")
    splits = (data.split(name).x[""][:, :, 0, 0].tolist() for name in data.split_sizes)
    assert list(expected) in [pixel for pixels in splits for pixel in pixels]


def test_size_resizes_the_shorter_side_and_keeps_the_middle(tmp_path):
    # 16 wide, 8 high: three vertical bands of 4, 8 and 4; the middle one is what stays.
    image = np.zeros((8, 16, 3), np.uint8)
    image[:, 4:12] = 180
    for name in ("a", "b"):
        for number in range(6):
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(image).save(path)
    whole = load(tmp_path, size=8).split("train").x[""]
    assert whole.shape[1:] == (3, 8, 8)
    assert whole.unique().tolist() == [180]
    assert load(tmp_path, size=4).split("train").x[""].shape[1:] == (3, 4, 4)


def test_unlike_sizes_are_refused_naming_two_and_accepted_with_size(root):
    paint(root / "cat" / "3.png", size=(12, 8))
    with pytest.raises(DataError, match=r"0.png is 10x8, .*3.png is 12x8 pixels; set data.size"):
        load(root)
    assert load(root, size=6).facts.shapes == {"": (3, 6, 6)}


def test_a_file_that_is_no_image_is_refused_by_name(root):
    (root / "dog" / "4.png").write_bytes(b"this is text")
    message = r"4.png cannot be read as an image \(its content is of no known format\); remove it"
    with pytest.raises(DataError, match=message):
        load(root)


def test_a_truncated_image_is_refused_by_name(root):
    path = root / "dog" / "4.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 10, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(DataError, match=r"4.png cannot be read as an image"):
        load(root)


def test_sixteen_bit_images_are_refused_instead_of_cut_off(root):
    Image.fromarray(np.full((8, 10), 40_000, np.uint16)).save(root / "dog" / "4.png")
    with pytest.raises(DataError, match=r"4.png has more than 8 bits a channel \(mode I;16\)"):
        load(root)


def test_an_empty_class_is_refused_by_name(root):
    (root / "horse").mkdir()
    with pytest.raises(DataError, match=r"class folder .*horse holds no images"):
        load(root)


def test_a_folder_without_classes_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no images in sub-folders, one for each class"):
        load(tmp_path)


def test_an_empty_test_split_is_refused_with_the_way_out(root, tmp_path):
    shutil.copytree(root, tmp_path / "all" / "train")
    (tmp_path / "all" / "test" / "dog").mkdir(parents=True)
    with pytest.raises(DataError, match=r"all.test holds no images .* move .* is drawn from"):
        load(tmp_path / "all")


def test_a_single_class_is_refused(tmp_path):
    paint(tmp_path / "cat" / "0.png")
    with pytest.raises(DataError, match=r"image_folder: only one class \('cat'\)"):
        load(tmp_path)


def test_a_missing_folder_says_what_to_set(tmp_path):
    with pytest.raises(DataMissingError, match=r"no folder .*nowhere; set data.args.root"):
        load(tmp_path / "nowhere")
    with pytest.raises(DataMissingError, match=r"declare data.args.classes and data.size"):
        describe_data(name="image_folder", args={"root": tmp_path / "nowhere"})


def test_without_a_root_the_argument_is_asked_for():
    with pytest.raises(DataError, match=r"data.args.root is missing"):
        load_data(name="image_folder")


@pytest.fixture
def split_root(root):
    """The same images below `train`, and others of other colours below `val` and `test`."""
    (root / "train").mkdir()
    for name in ("cat", "dog"):
        (root / name).rename(root / "train" / name)
        for number in range(3):
            paint(root / "val" / name / f"{number}.png", colour=(101, 0, 0))
            paint(root / "test" / name / f"{number}.png", colour=(102, 0, 0))
    return root


def test_train_val_and_test_folders_are_splits_of_their_own(split_root):
    data = load(split_root)
    assert data.split_sizes == {"test": 6, "val": 6, "train": 20}
    assert data.split("val").x[""][:, 0].unique().tolist() == [101]
    data.open_test(reason="this test looks at it")
    assert data.split("test").x[""][:, 0].unique().tolist() == [102]


def test_own_splits_are_described_with_their_counts(split_root):
    facts = describe_data(name="image_folder", args={"root": split_root})
    assert (facts.num_train, facts.num_val, facts.num_test) == (20, 6, 6)
    assert facts.shapes == {"": (3, 8, 10)}
    assert facts.present


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("Train", "VALID", "testing"),
        ("training", "dev", "Test"),
        ("train2017", "val2017", "test_set"),
    ],
)
def test_splits_are_recognised_by_any_usual_name_and_case(split_root, train, val, test):
    for name, other in (("train", train), ("val", val), ("test", test)):
        (split_root / name).rename(split_root / f"{other}.new")
        (split_root / f"{other}.new").rename(split_root / other)
    (split_root / "__pycache__").mkdir()  # a folder without images is no class beside splits
    assert load(split_root).split_sizes == {"test": 6, "val": 6, "train": 20}
    assert load(split_root).classes == ("cat", "dog")


def test_folders_that_only_look_like_classes_are_refused_with_the_folder_to_give(root, split_root):
    def refused(folder, message, **args):
        with pytest.raises(DataError, match=message):
            load_data(name="image_folder", args={"root": folder, **args})

    above = split_root.parent
    refused(above, r"is above the data: .*später holds .*test, train and val; give that folder")
    (split_root / "valid").mkdir()
    refused(split_root, "'val' and 'valid' both mean the split 'val'")
    (split_root / "valid").rmdir()
    paint(split_root / "unsorted" / "0.png")
    refused(split_root, r"holds test, train and val, .* names of splits, beside 'unsorted'; move")
    (split_root / "unsorted" / "0.png").unlink()
    (split_root / "train").rename(split_root / "wherever")
    (split_root / "wherever").rename(above / "wherever")
    refused(split_root, r"names of splits, but none for training; give .*classes: .*/test")
    refused(above, r"are the classes, such as .*; where .* say so: data.args.classes: 2")
    load_data(name="image_folder", args={"root": above, "classes": 2})


def test_splits_without_folders_of_classes_are_refused(tmp_path):
    for split in ("train", "valid"):
        for number in range(5):
            paint(tmp_path / split / f"{number}.png", colour=(number, 0, 0))
    message = r"train is called like a split and holds images itself; .*train/CLASS/IMAGE"
    with pytest.raises(DataError, match=message):
        describe_data(name="image_folder", args={"root": tmp_path})


def test_a_folder_above_the_classes_is_refused_with_the_folder_to_give(root):
    with pytest.raises(DataError, match=r"is above the classes: .* cat and dog; give .*später"):
        load(root.parent)


def test_a_link_back_to_its_own_folder_gives_no_sample_twice(root):
    (root / "cat" / "again").symlink_to(root / "cat", target_is_directory=True)
    assert load(root).facts.num_train == 20


def test_a_picture_of_a_format_that_is_not_read_is_refused_by_name(root):
    (root / "dog" / "phone.HEIC").write_bytes(b"ftyp")
    with pytest.raises(DataError, match=r"phone.HEIC is a picture of a format that is not r"):
        load(root)


def test_a_class_called_train_is_a_class_where_others_stand_beside_it(tmp_path):
    for name in ("bus", "train"):
        for number in range(4):
            paint(tmp_path / name / f"{number}.png")
    assert load(tmp_path).classes == ("bus", "train")


def test_a_class_that_train_lacks_is_refused(split_root):
    paint(split_root / "test" / "horse" / "0.png")
    with pytest.raises(DataError, match=r"test has a class 'horse' that .*train lacks"):
        load(split_root)


def test_unlike_sizes_across_splits_are_refused(split_root):
    paint(split_root / "val" / "dog" / "1.png", size=(9, 9))
    with pytest.raises(DataError, match=r"images differ in size"):
        load(split_root)


def test_a_declared_folder_is_described_without_it(tmp_path):
    args = {"root": tmp_path / "nowhere", "classes": 37}
    facts = describe_data(name="image_folder", args=args, size=224)
    assert facts.shapes == {"": (3, 224, 224)}
    assert (facts.num_classes, facts.num_train, facts.present) == (37, None, False)
    assert "nowhere/CLASS/" in facts.advice


def test_a_declared_number_that_the_folder_contradicts_is_refused(root):
    with pytest.raises(DataError, match=r"data.args.classes is 3, but .* has 2 sub-folders"):
        load_data(name="image_folder", args={"root": root, "classes": 3})


@pytest.mark.parametrize("classes", ["two", 2.0, True])
def test_a_declared_number_must_be_whole(root, classes):
    with pytest.raises(DataError, match=f"data.args.classes is {classes!r}; it must be the numb"):
        describe_data(name="image_folder", args={"root": root, "classes": classes})


def test_the_fingerprint_is_of_content_and_not_of_place(root, tmp_path):
    before = load(root)
    moved = root.rename(tmp_path / "elsewhere")
    assert load(moved).fingerprint == before.fingerprint
    assert load(moved, size=8).fingerprint != before.fingerprint
    paint(moved / "cat" / "0.png", colour=(1, 1, 1))
    assert load(moved).fingerprint != before.fingerprint
