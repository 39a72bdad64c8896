"""Iris sets in their makers' layouts, on tiny files made in those layouts."""

import pytest
from made_pictures import all_samples, paint, paint_casia, paint_iitd, paint_ubiris

from dmtsearch.data import describe_data, load_data
from dmtsearch.errors import DataError, DataMissingError


def refused(name, message, *, size=None, **args):
    for way in (describe_data, load_data):
        with pytest.raises(DataError, match=message):
            way(name=name, args=args, size=size)


@pytest.mark.parametrize(("name", "digit"), [("casia_lamp", 2), ("casia_thousand", 5)])
def test_casia_has_a_class_for_each_eye_of_each_person(tmp_path, name, digit):
    root = paint_casia(tmp_path, digit=digit)
    facts = describe_data(name=name, args={"root": root}, size=4)
    assert (facts.shapes, facts.num_classes, facts.num_train) == ({"": (1, 4, 4)}, 4, 20)
    data = load_data(name=name, args={"root": root}, size=4)
    assert data.facts == facts
    assert data.classes == ("000L", "000R", "001L", "001R")
    x, y = all_samples(data)
    # Painted 40 for each eye and less than 40 more; JPEG keeps an even grey to within 2.
    assert ((x[""][:, 0, 0, 0] + 2) // 40 == y).all()


def test_casia_may_lack_an_eye_and_hold_other_files(tmp_path):
    root = paint_casia(tmp_path)
    for path in (root / "001" / "R").iterdir():
        path.unlink()
    (root / "001" / "R").rmdir()
    (root / "000" / "L" / "Thumbs.db").write_bytes(b"windows")
    assert describe_data(name="casia_thousand", args={"root": root}).num_classes == 3


CASIA_MISTAKES = [
    ("000/L/photo.jpg", r"000/L has images that are not named S5YYYENN.jpg: photo.jpg"),
    ("000/L/S2000L09.jpg", r"images that are not named S5YYYENN.jpg: S2000L09.jpg"),
    ("000/L/S5000R09.jpg", r"is named after person 000, eye R, but lies in 000/L"),
    ("000/L/S5001L09.jpg", r"is named after person 001, eye L, but lies in 000/L"),
    ("000/left/S5000L09.jpg", r"000 has a folder 'left'; CASIA-Iris-Thousand has L and R there"),
    ("person 7/L/S5007L00.jpg", r"that are no subject's \(three digits: 001\): person 7;"),
]


@pytest.mark.parametrize(("path", "message"), CASIA_MISTAKES)
def test_what_is_wrong_with_a_casia_folder_is_said(tmp_path, path, message):
    root = paint_casia(tmp_path)
    paint(root / path, size=(8, 8))
    refused("casia_thousand", message, root=root)


def test_a_person_or_eye_without_images_is_refused(tmp_path):
    root = paint_casia(tmp_path)
    (root / "002").mkdir()
    refused("casia_thousand", "002 has no folder; CASIA-Iris-Thousand has L and R", root=root)
    (root / "002" / "R").mkdir()
    refused("casia_thousand", r"002/R holds no images; CASIA.* has S5YYYENN.jpg there", root=root)


def test_a_folder_too_high_or_empty_is_refused_with_what_it_holds(tmp_path):
    paint_casia(tmp_path / "CASIA-Iris-Thousand")
    message = r"no folder of a subject \(three digits: 001\); it holds CASIA-Iris-Thousand; set"
    refused("casia_thousand", message, root=tmp_path)
    (tmp_path / "empty").mkdir()
    refused("casia_lamp", "it holds no folders", root=tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "arg", "advice"),
    [
        ("casia_lamp", "root", r"CASIA-Iris-Lamp is given out by CASIA .* the folder with 000"),
        ("iitd", "root", "is given out by IIT Delhi; set it to the folder with 001, 002"),
        ("ubiris_ubipr", "ubiris", "UBIRIS.v2 is given out by the SOCIA Lab .*C1_S1_I1.tiff"),
    ],
)
def test_a_missing_set_says_who_gives_it_out_and_what_to_set(tmp_path, name, arg, advice):
    with pytest.raises(DataMissingError, match=rf"no folder .*\(data.args.{arg}\); .*{advice}"):
        load_data(name=name, args={arg: tmp_path / "nowhere"})
    refused(name, rf"data.args.{arg} is missing; .*{advice}")


def test_iitd_has_a_class_for_each_eye_of_each_person(tmp_path):
    root = paint_iitd(tmp_path)
    data = load_data(name="iitd", args={"root": root})
    assert data.facts == describe_data(name="iitd", args={"root": root})
    assert data.facts.shapes == {"": (1, 6, 8)}
    assert data.classes == ("001L", "001R", "002L", "002R", "014L", "014R")
    x, y = all_samples(data)
    # Painted 20 a person and 1 to 5 for left, 6 to 10 for right.
    assert (x[""][:, 0, 0, 0] // 20 * 2 + (x[""][:, 0, 0, 0] % 20 > 5) == y).all()


@pytest.mark.parametrize("below", ["", "Normalized_Images"])
def test_the_strips_of_iitd_have_a_class_for_each_person(tmp_path, below):
    args = {"root": paint_iitd(tmp_path) / below, "images": "strips"}
    data = load_data(name="iitd", args=args)
    assert data.facts == describe_data(name="iitd", args=args)
    assert (data.facts.shapes, data.classes) == ({"": (1, 48, 432)}, ("001", "002", "014"))


def test_what_is_wrong_with_an_iitd_folder_is_said(tmp_path):
    root = paint_iitd(tmp_path)
    args = {"root": root, "images": "strips"}
    refused("iitd", "data.size is 48, but IITD's strips are 432x48", size=48, **args)
    refused("iitd", "data.args.images is 'strip'; .*did you mean 'strips'", root=root,
            images="strip")  # fmt: skip
    paint(root / "001" / "1.bmp")
    refused("iitd", r"001 has images that are not named NN_E.bmp, E being L or R: 1.bmp",
            root=root)  # fmt: skip
    for path in (root / "Normalized_Images").iterdir():
        paint(path, size=(512, 64))
    refused("iitd", "strips are 432x48 pixels; these are 512x64", **args)
    paint(root / "Normalized_Images" / "1.bmp")
    refused("iitd", r"Normalized_Images has images that are not named YYY_N.bmp: 1.bmp", **args)
    (root / "Normalized_Images").rename(root.parent / "strips")
    refused("iitd", "has no folder Normalized_Images; the strips of IITD lie there", **args)


def test_ubiris_and_ubipr_are_paired_by_class_in_order_of_session_and_number(tmp_path):
    args = paint_ubiris(tmp_path)
    # UBIPr lacks one picture of class 2 and all of class 10; UBIRIS has no class 7.
    (args["ubipr"] / "C2_S1_I1.jpg").unlink()
    for path in args["ubipr"].glob("C10_*"):
        path.unlink()
    paint(args["ubipr"] / "C7_S1_I1.jpg", mode="RGB", size=(9, 9))
    data = load_data(name="ubiris_ubipr", args=args)
    assert data.facts == describe_data(name="ubiris_ubipr", args=args)
    assert data.facts.shapes == {"iris": (3, 6, 8), "periocular": (3, 9, 9)}
    assert data.classes == ("C1", "C2")
    x, y = all_samples(data)
    assert y.tolist() == [0] * 6 + [1] * 5
    # Painted 20 class + 5 session + number.
    assert x["iris"][:, 0, 0, 0].tolist() == [26, 27, 28, 31, 32, 33, 46, 47, 48, 51, 52]
    expected = [26, 27, 28, 31, 32, 33, 47, 48, 51, 52, 53]
    assert abs(x["periocular"][:, 0, 0, 0] - expected).max() <= 3  # JPEG


def test_classes_are_in_order_of_number_and_not_of_text(tmp_path):
    data = load_data(name="ubiris_ubipr", args=paint_ubiris(tmp_path))
    assert data.classes == ("C1", "C2", "C10")


def test_what_is_wrong_with_the_two_folders_is_said(tmp_path):
    args = paint_ubiris(tmp_path)
    swapped = {"ubiris": args["ubipr"], "ubipr": args["ubiris"]}
    refused("ubiris_ubipr", r"UBIRIS.v2 is one folder of .*tiff, and .*ubipr has images that are "
            r"not: C10_S1_I1.jpg", **swapped)  # fmt: skip
    (tmp_path / "empty").mkdir()
    refused("ubiris_ubipr", "UBIPr is one folder of .* has no images",
            ubiris=args["ubiris"], ubipr=tmp_path / "empty")  # fmt: skip
    other = paint_ubiris(tmp_path / "other", eyes=(1, 20))
    refused("ubiris_ubipr", "UBIRIS.v2 has 3 classes here, UBIPr 2, and 1 are in both",
            ubiris=args["ubiris"], ubipr=other["ubipr"])  # fmt: skip
