"""`uci_style`: tables of features, one for each modality, as CSV."""

import pytest
import torch

from dmtsearch.data import describe_data, load_data
from dmtsearch.errors import DataError, DataMissingError

LABELS = [10, 2, 2, 10] * 5


@pytest.fixture
def files(tmp_path):
    """Twenty rows in two tables; the label stands in both, in different places."""
    a = ["kind,width,height"] + [f"{label},{i},{i / 2}" for i, label in enumerate(LABELS)]
    b = ["weight,kind"] + [f"-{i}e1,{label}" for i, label in enumerate(LABELS)]
    return {name: write(tmp_path / f"{name}.csv", lines) for name, lines in (("a", a), ("b", b))}


def write(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def change(path, line, text):
    """Put another text in a line, from 1."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[line - 1] = text
    return write(path, lines)


def load(files, **args):
    return load_data(name="uci_style", args={"csv": files, "label": "kind", **args})


def refused(files, message, **args):
    for way in (load_data, describe_data):
        with pytest.raises(DataError, match=message):
            way(name="uci_style", args={"csv": files, "label": "kind", **args})


def test_each_file_is_a_modality_and_every_other_column_a_feature(files):
    data = load(files)
    assert data.facts == describe_data(name="uci_style", args={"csv": files, "label": "kind"})
    assert data.facts.shapes == {"a": (2,), "b": (1,)}
    assert data.facts.storage == "float32"
    train = data.split("train")
    rows = train.index.float()
    assert torch.equal(train.x["a"], torch.stack([rows, rows / 2], dim=1))
    assert torch.equal(train.x["b"], -10 * rows[:, None])
    assert data.moments["a"].mean.shape == (2,)


def test_labels_that_are_numbers_are_in_order_of_value(files):
    data = load(files)
    assert data.classes == ("2", "10")
    train = data.split("train")
    assert train.y.tolist() == [int(LABELS[i] == 10) for i in train.index.tolist()]


def test_labels_that_are_words_are_in_order_of_text_and_may_stand_in_one_file(files, tmp_path):
    names = ["zebra", "ant"] * 10
    a = write(tmp_path / "words.csv", ["x;kind", *(f"1;{name}" for name in names)])
    b = write(tmp_path / "plain.csv", ["x;y", *("1;2" for _ in names)])
    data = load({"a": a, "b": b}, delimiter=";")
    assert data.classes == ("ant", "zebra")
    assert data.facts.shapes == {"a": (1,), "b": (2,)}


def test_a_spreadsheets_signature_and_empty_lines_are_no_data(files):
    text = files["a"].read_text(encoding="utf-8")
    files["a"].write_text(text + "\n\n", encoding="utf-8-sig")
    assert load(files).facts.num_train == 20


def test_unequal_numbers_of_rows_are_refused(files):
    write(files["b"], files["b"].read_text().splitlines()[:-3])
    refused(files, r"a.csv has 20 rows, .*b.csv 17; row i of each file is one sample")


def test_labels_that_differ_between_files_are_refused_by_row(files):
    change(files["b"], 4, "-3e1,10")
    refused(files, r"row 3 is '2' in .*a.csv and '10' in .*b.csv; row i of each file")


def test_a_label_column_that_no_file_has_is_refused_with_the_nearest(files):
    refused(
        files, r"data.args.label: no file has a column 'kid'; did you mean 'kind'", label="kid"
    )


def test_a_label_column_of_words_that_is_misspelt_is_not_taken_for_a_feature(tmp_path):
    file = write(tmp_path / "a.csv", ["kind,x", "cat,1", "dog,2"])
    refused({"a": file}, "no file has a column 'Kind'; did you mean 'kind'", label="Kind")


@pytest.mark.parametrize("cell", ["?", "", "nan", "inf", "1e39", "wide"])
def test_a_cell_that_is_no_finite_number_is_refused_with_file_and_line(files, cell):
    change(files["a"], 7, f"2,{cell},1")
    message = rf"a.csv:7: column 'width' is '{cell if cell != '?' else '[?]'}'; every feature is a"
    refused(files, message)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (7, "2,5", r"a.csv:7: 2 cells; there are 3 columns"),
        (7, ",5,1", r"a.csv:7: the label, column 'kind', is empty"),
        (1, "kind,x,x", r"a.csv:1: there are two columns called 'x'; rename one"),
        (1, "kind", r"a.csv:1: there is no column of features"),
    ],
)
def test_a_malformed_line_is_refused_with_its_number(files, line, text, message):
    change(files["a"], line, text)
    refused(files, message)


def test_a_file_that_is_missing_empty_or_no_text_is_refused(files, tmp_path):
    with pytest.raises(DataMissingError, match=r"there is no file .*c.csv; set data.args.csv"):
        load({"c": tmp_path / "c.csv"})
    write(files["a"], ["kind,x"])
    refused(files, r"a.csv has no rows below its line of column names")
    files["a"].write_bytes(b"\xff\xfe\x00")
    refused(files, r"a.csv cannot be read as CSV")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"csv": "a.csv"}, "data.args.csv is 'a.csv'; it must give a file by modality"),
        ({"csv": {}}, "data.args.csv is {}; it must give a file by modality"),
        ({"csv": {"a": 3}}, "data.args.csv holds 'a': 3; it must be a name and a path"),
        ({"label": None}, "data.args.label is None; it must be the column with the class"),
        ({"delimiter": ";;"}, "data.args.delimiter is ';;'; it must be one character"),
    ],
)
def test_arguments_are_checked(files, args, message):
    with pytest.raises(DataError, match=message):
        load_data(name="uci_style", args={"csv": files, "label": "kind", **args})


def test_a_single_class_and_a_size_are_refused(files, tmp_path):
    one = write(tmp_path / "one.csv", ["kind,x", "a,1", "a,2"])
    with pytest.raises(DataError, match=r"uci_style: only one class \('a'\)"):
        load({"a": one})
    with pytest.raises(DataError, match="uci_style: only one class; a classifier needs two"):
        describe_data(name="uci_style", args={"csv": {"a": one}, "label": "kind"})
    with pytest.raises(DataError, match=r"data.size is 8, but modality 'a' holds 2 features"):
        load_data(name="uci_style", args={"csv": files, "label": "kind"}, size=8)
