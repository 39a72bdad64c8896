"""`paired_folders`: a folder for each modality, paired by name."""

import pytest
from made_pictures import all_samples, paint, paint_pairs

from dmtsearch.data import describe_data, load_data
from dmtsearch.errors import DataError, DataMissingError


@pytest.fixture
def root(tmp_path):
    return paint_pairs(tmp_path / "pairs")


def load(root, *, size=None, **args):
    return load_data(name="paired_folders", args={"root": root, **args}, size=size)


def refused(root, message, **args):
    with pytest.raises(DataError, match=message):
        load(root, **args)


def test_files_of_one_class_and_name_are_views_of_one_sample(root):
    x, y = all_samples(load(root))
    assert x["iris"].shape == (20, 3, 4, 6)
    assert x["periocular"].shape == (20, 3, 4, 8)
    # Painted 100 m + 50 c + number: the views of a sample are 100 apart.
    assert (x["periocular"][:, 0, 0, 0] == x["iris"][:, 0, 0, 0] + 100).all()
    assert (x["iris"][:, 0, 0, 0] // 50 == y).all()


def test_what_is_described_is_what_is_loaded(root):
    args = {"root": root, "grey": ["iris"]}
    facts = describe_data(name="paired_folders", args=args, size=5)
    assert facts.shapes == {"iris": (1, 5, 5), "periocular": (3, 5, 5)}
    loaded = load(root, size=5, grey=["iris"])
    assert dict(loaded.facts.shapes) == dict(facts.shapes)
    assert (facts.num_classes, facts.num_train) == (2, 20)
    assert loaded.moments["iris"].mean.shape == (1,)
    assert loaded.moments["periocular"].mean.shape == (3,)


def test_pairs_may_have_unlike_endings(root):
    path = root / "iris" / "ann" / "3.png"
    paint(path.with_suffix(".bmp"), size=(6, 4), colour=3)
    path.unlink()
    assert load(root).facts.num_train == 20


def test_modalities_may_be_chosen_among_more(root):
    paint(root / "notes" / "scan.png")
    data = load(root, modalities=["periocular", "iris"], grey=True)
    assert data.facts.shapes == {"periocular": (1, 4, 8), "iris": (1, 4, 6)}


def test_a_sample_without_a_partner_is_refused_by_name(root):
    (root / "periocular" / "bob" / "7.png").unlink()
    refused(root, r"samples without a partner: .*iris/bob has 7.png, and .*periocular/bob has no")


def test_many_samples_without_a_partner_are_told_by_the_first_and_their_number(root):
    for number in range(5):
        (root / "iris" / "ann" / f"{number}.png").unlink()
    refused(root, r"periocular/ann has 0.png, 1.png, 2.png and 2 more, and .*iris/ann has no")


def test_a_class_that_one_modality_lacks_is_refused_by_name(root):
    paint(root / "iris" / "cleo" / "0.png")
    refused(root, r"modality 'periocular' lacks classes that 'iris' has: cleo")


def test_two_files_for_one_view_are_refused(root):
    paint(root / "iris" / "ann" / "3.jpg")
    refused(root, r"3\.(png|jpg) and .*3\.(png|jpg) are one view of one sample; remove one")


def test_unlike_sizes_within_a_modality_are_refused_and_accepted_with_size(root):
    paint(root / "iris" / "bob" / "4.png", size=(7, 7))
    refused(root, r"iris/ann/0.png is 6x4, .*iris/bob/4.png is 7x7 pixels; set data.size")
    assert load(root, size=4).facts.shapes["iris"] == (3, 4, 4)


def test_a_class_without_images_is_refused(root):
    for path in (root / "iris" / "bob").iterdir():
        path.unlink()
    refused(root, r"class folder .*iris/bob holds no images")


def test_a_modality_without_classes_is_refused(root):
    (root / "voice").mkdir()
    refused(root, r"voice has no sub-folders, one for each class")


def test_an_image_that_lies_in_no_class_is_refused_by_name(root):
    paint(root / "iris" / "stray.png")
    (root / "iris" / "notes.txt").write_text("other files are left alone")
    refused(root, r"iris holds images outside of its classes: stray.png; move each into its class")


def test_a_single_class_is_refused(tmp_path):
    root = paint_pairs(tmp_path / "one", classes=("ann",))
    refused(root, r"paired_folders: only one class \('ann'\)")
    with pytest.raises(DataError, match="paired_folders: only one class; a classifier needs two"):
        describe_data(name="paired_folders", args={"root": root})


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"modalities": ["iris", "perocular"]}, "no sub-folder 'perocular'; did you mean 'peri"),
        ({"modalities": ["iris"]}, "gives 1 modality .*needs at least 2, image_folder reads one"),
        ({"modalities": "iris"}, "data.args.modalities is 'iris'; it must be a list of names"),
        ({"grey": ["irs"]}, "data.args.grey: no modality 'irs'; did you mean 'iris'"),
        ({"grey": 1}, "data.args.grey is 1; it must be true or a list of modalities"),
        ({"rooot": "x"}, "paired_folders takes no 'rooot'; did you mean 'root'"),
    ],
)
def test_arguments_are_checked(root, args, message):
    refused(root, message, **args)


def test_a_missing_folder_says_how_to_lay_it_out(tmp_path):
    with pytest.raises(DataMissingError, match=r"there is no folder .*ROOT/MODALITY/CLASS/SAMPLE"):
        load(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"data.args.root is missing; put images at"):
        load_data(name="paired_folders")
    with pytest.raises(DataError, match=r"data.args.root is 3; it must be the path of a folder"):
        load(3)


def test_the_fingerprint_is_of_content_and_of_how_it_is_read(root, tmp_path):
    before = load(root)
    moved = root.rename(tmp_path / "elsewhere")
    assert load(moved).fingerprint == before.fingerprint
    assert load(moved, grey=True).fingerprint != before.fingerprint
    paint(moved / "periocular" / "bob" / "0.png", size=(8, 4), colour=9)
    assert load(moved).fingerprint != before.fingerprint


def test_folders_of_splits_are_not_taken_for_modalities_or_classes(tmp_path):
    for split in ("train", "Valid"):
        paint_pairs(tmp_path / "above" / split, count=2)
        for modality in ("iris", "periocular"):
            paint_pairs(tmp_path / "within" / modality, modalities=(split,), count=2)
    message = r"holds Valid and train, which are names of splits, where {} are expected"
    refused(tmp_path / "above", message.format("modalities"))
    refused(tmp_path / "within", message.format("classes"))


def test_a_folder_above_the_modalities_is_refused_with_the_folder_to_give(tmp_path):
    paint_pairs(tmp_path / "one" / "pairs", count=2)
    refused(tmp_path / "one", r"needs at least 2, .*one/pairs holds iris, periocular: .*give")
    paint_pairs(tmp_path / "two" / "left", count=2)
    paint_pairs(tmp_path / "two" / "right", count=2)
    refused(tmp_path / "two", r"may be above the modalities: .*left/iris holds no images itself")
