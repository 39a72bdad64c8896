"""Bundles have the files and keys that the architecture page lists."""

import json
from shutil import copytree

from doc_pages import ROOT, Page, in_backticks

import dmtsearch

PAGE = Page(ROOT / "docs" / "architecture.md")


def info_of(folder):
    return json.loads((folder / "bundle.json").read_text())


def test_a_bundle_has_the_keys_that_are_listed(plain_folder):
    rows = PAGE.rows("### `bundle.json`")
    info = info_of(plain_folder)
    assert sorted(name for row in rows for name in in_backticks(row[0])) == sorted(info)
    inside = {in_backticks(row[0])[0]: set(in_backticks(row[1])) for row in rows}
    assert inside["input"] == info["input"].keys()
    assert inside["data"] == info["data"].keys()
    assert inside["stages"] == info["stages"][0].keys()
    assert inside["metrics"] == {"val", *info["metrics"]["val"]}
    files = in_backticks(PAGE.section("## Bundle").partition(". ")[0])[1:]
    assert {path.name for path in plain_folder.iterdir()} >= set(files)


def test_a_selector_s_bundle_has_the_keys_that_are_listed(selector_folder):
    info = info_of(selector_folder)
    text = PAGE.section("### `bundle.json`").partition("Of a selector,")[2]
    own, _, parts = text.partition("and `classifiers`")
    selector, *instead = in_backticks(own.partition(":")[0])
    assert not {"model", "in_shape", "input"}.intersection(info)
    assert (selector, instead) == ("selector", ["model", "in_shape", "input"])
    keys = in_backticks(own.partition(":")[2])
    assert {*keys, "classifiers"} == info["selector"].keys()
    named = set(in_backticks(parts.partition(". ")[0]))
    assert named == info["selector"]["classifiers"][0].keys()


def test_an_evaluation_has_the_keys_that_are_listed(plain_folder, selector_folder, tmp_path):
    plain_folder = copytree(plain_folder, tmp_path / "plain")  # openings are written into them
    selector_folder = copytree(selector_folder, tmp_path / "selector")
    rows = PAGE.rows("## What commands print as JSON")
    (row,) = (row[1] for row in rows if row[0].startswith("`dmtsearch evaluate"))
    plain, _, more = row.partition("; of a selector also ")
    found = dmtsearch.evaluate(plain_folder)
    assert in_backticks(plain) == list(found.as_dict())
    opening = json.loads((plain_folder / "openings.jsonl").read_text().splitlines()[-1])
    listed = [n for r in PAGE.rows("### `openings.jsonl`") for n in in_backticks(r[0])]
    assert listed == list(opening)
    of_selector = dmtsearch.evaluate(selector_folder).as_dict()
    assert {*in_backticks(plain), *in_backticks(more)} == of_selector.keys()
