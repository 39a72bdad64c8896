"""The page and the Markdown: self-contained, honest, and there whatever the run holds."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_run import MadeRun
from made_search import ONE_HOLE, SPACE, made_search

import dmtsearch
from dmtsearch.engine import ArmMissing
from dmtsearch.space import parse_space

TITLES = (
    "The schedule to train",
    "Policies: what each choice does",
    "The confirmation",
    "Accuracy against size and cost",
    "Search beside control arms",
    "What students take over from their sources",
    "Learning curves",
    "Trials by the value of each hole",
    "Which holes mattered",
    "All trials",
    "What ran when, and what sharing saved",
    "Failures and what was not tried",
    "Caveats",
    "Provenance",
    "Glossary",
)
VERDICTS = re.compile(
    r"\b(win(s|ner|ning)?|won|beat(s|en|ing)?|outperform\w*|superior|significant\w*|better than|"
    r"loses|ties|undecided)\b",
    re.IGNORECASE,
)
# Words that a page uses as anybody does, or explains where it uses them.
NOT_OF_THE_FIELD = {"run", "point", "key", "hard", "bundle", "ledger"}
VOID = {"meta", "input", "path", "use", "rect", "link", "br"}


class Page(HTMLParser):
    """Remembers what a test asks of a page; complains of tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.tags, self.links = [], [], [], []
        self.text = ""
        self.svgs, self.titles = 0, 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[name] for name in ("href", "src") if name in found]
        self.svgs += tag == "svg" and found.get("role") == "img"
        self.titles += tag == "title" and "svg" in self.open
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text += data + " "


@pytest.fixture(scope="module")
def written(full_report):
    return full_report


def test_the_sections_stand_in_order(written):
    text = written.page.read_text(encoding="utf-8")
    assert tuple(re.findall(r"<h2>(.*?)</h2>", text)) == TITLES
    assert (
        tuple(re.findall(r"^## (.*)$", written.markdown.read_text(encoding="utf-8"), re.M))
        == TITLES
    )


def test_the_page_is_whole_and_needs_nothing_else(written):
    text = written.page.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert page.tags.count("script") == 1
    script = text[text.index("<script>") :]
    assert not re.search(r"https?:|fetch|XMLHttp|WebSocket|import|eval|innerHTML", script)
    assert "default-src 'none'" in text
    assert "link" not in page.tags
    assert "img" not in page.tags
    assert all(link.startswith("#") for link in page.links)
    assert "@import" not in page.text


def test_ids_are_unique_and_links_meet_them(written):
    page = Page(written.page.read_text(encoding="utf-8"))
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    clips = re.findall(r"url\(#(.*?)\)", written.page.read_text(encoding="utf-8"))
    assert set(clips) <= set(page.ids)


def test_every_drawing_has_words_for_those_who_do_not_see_it(written):
    page = Page(written.page.read_text(encoding="utf-8"))
    assert page.svgs == page.titles == page.tags.count("svg") > 20
    markdown = written.markdown.read_text(encoding="utf-8")
    alts = re.findall(r"!\[(.*?)\]\((figures/.*?)\)", markdown, re.S)
    # What is wider than a phone is drawn twice.
    text = written.page.read_text(encoding="utf-8")
    assert len(alts) == page.svgs - text.count('class="drawing phone"')
    assert all(len(alt) > 30 for alt, _ in alts)
    assert all((written.folder / path).is_file() for _, path in alts)


def test_every_figure_fits_a_phone(written):
    text = written.page.read_text(encoding="utf-8")
    found = re.findall(r'<div class="drawing([^"]*)"[^>]*>\s*<svg[^>]*?width="([\d.]+)pt"', text)
    assert len(found) > 20
    # 268 points are 357 pixels; a wide drawing is hidden there, its narrow one shown.
    kinds = [kind.strip() for kind, _ in found]
    assert kinds.count("wide") == kinds.count("phone") > 0
    assert all(float(width) <= 273 for kind, width in found if kind.strip() != "wide")


def test_colours_follow_the_page_and_are_plain_in_files(written):
    text = written.page.read_text(encoding="utf-8")
    assert "#0102" not in text
    used = set(re.findall(r"var\((--[a-z-]+)\)", text))
    light = text[: text.index("prefers-color-scheme: dark")]
    dark = text[text.index("prefers-color-scheme: dark") :]
    for variable in used - {"--sans", "--mono", "--width"}:
        assert f"{variable}:" in light, variable
        assert f"{variable}:" in dark, variable
    file = (written.folder / "figures" / "arms.svg").read_text(encoding="utf-8")
    assert "var(" not in file
    assert "#0102" not in file


def test_no_word_of_a_verdict_anywhere(written):
    # The space's own words may hold any; this one's do not.
    for path in (written.page, written.markdown):
        text = path.read_text(encoding="utf-8")
        words = Page(text).text if path.suffix == ".html" else text
        assert VERDICTS.search(words) is None


def test_the_first_screen_names_what_is_best_by_val_and_that_it_is_not_confirmed(written):
    summary = written.summary
    text = Page(written.page.read_text(encoding="utf-8")).text.replace("\u00a0", " ")
    assert (
        f"Not confirmed: by val accuracy trial {summary.best.trial} is best with 87.37 %" in text
    )
    assert "The best control arm with a model of the same size, direct_long, has 86.70 %" in text
    assert "The search never reads the test split; it was opened 0 times" in text
    for label in ("Val accuracy", "Size and latency", "Cost to train", "How sure"):
        assert label in text[: text.index("The schedule to train")]


def test_the_commands_confirm_train_and_export(written, full_run):
    commands = (
        f"dmtsearch confirm {full_run}",
        f"dmtsearch train {full_run}/best_schedule.yaml --out out/full",
        "dmtsearch export out/full --format onnx",
    )
    assert written.next_command == commands[0]
    for path in (written.page, written.markdown):
        text = path.read_text(encoding="utf-8")
        assert [text.index(f"{command}\n" if path.suffix == ".md" else f">{command}<")
                for command in commands]  # fmt: skip


def test_the_best_schedule_is_told_in_plain_english(written):
    text = Page(written.page.read_text(encoding="utf-8")).text
    assert "teacher (plain 16-32-64-128) learns from the labels for 10 epochs." in text
    assert "hint: block2 → block2" in text


def test_a_report_of_the_same_run_is_the_same_bytes(written, full_run, tmp_path):
    again = dmtsearch.report(full_run, out=tmp_path / "again")
    names = sorted(path.relative_to(written.folder) for path in written.folder.rglob("*.*"))
    assert len(names) > 30
    for name in names:
        assert (again.folder / name).read_bytes() == (written.folder / name).read_bytes(), name


def test_every_word_of_the_words_page_that_a_report_uses_is_explained_in_it(written):
    text = Page(written.page.read_text(encoding="utf-8")).text
    body, glossary = text[: text.rindex("Glossary")], text[text.rindex("Glossary") :]
    page = (Path(__file__).parents[2] / "docs" / "words.md").read_text()
    words = re.findall(r"^\| ([\w ,-]+?) \|", page, re.M)[1:]
    used = [
        word
        for entry in words
        for word in entry.split(", ")
        if re.search(rf"\b{word}s?\b", body) and word not in NOT_OF_THE_FIELD
    ]
    assert len(used) > 15
    assert [word for word in used if not re.search(rf"\b{word} ", glossary)] == []
    for arm in ("scratch_long", "direct_long", "fitnet"):
        assert f"{arm} " in glossary


def test_tables_hold_unrounded_values(written):
    arms = (written.folder / "arms.csv").read_text(encoding="utf-8").splitlines()
    assert arms[0] == "arm,trial,seed,val_accuracy,model"
    best = written.summary.best
    assert any(row.startswith(f"search,{best.trial},0,{best.value!r},") for row in arms)
    sharing = (written.folder / "sharing.csv").read_text(encoding="utf-8").splitlines()
    assert sharing[1].startswith("stages,")


def _empty(root):
    run = MadeRun(root, parse_space(SPACE, "space.yaml"))
    run.start(SPACE)
    return root


def _all_failed(root):
    run = MadeRun(root, parse_space(ONE_HOLE, "space.yaml"))
    run.start(ONE_HOLE)
    for weight in (0.3, 0.6):
        values = {"student.soft.weight": weight}
        trial = run.propose("search", run.space.fill(values), values)
        run.end(trial, "failed", stage="teacher", reason="no space left <on> device", epochs=0)
    return run.stop("failed")


def _three_objectives(root):
    objectives = {"val_accuracy": "max", "macs": "min", "cold_cost": "min"}
    return made_search(root, trials=12, objectives=objectives).stop()


def _nothing_but_a_ledger(root):
    root.mkdir()
    (root / "ledger.jsonl").touch()
    return root


RUNS = {
    "a ledger without a line": _nothing_but_a_ledger,
    "no trial": _empty,
    "all failed": _all_failed,
    "one objective": lambda root: made_search(root, trials=3).stop(),
    "three objectives": _three_objectives,
    "no controls": lambda root: made_search(root, trials=3, controls=False).stop(),
    "controls alone": lambda root: made_search(root, trials=0).stop(),
    "one hole": lambda root: made_search(root, text=ONE_HOLE, trials=12).stop(),
    "200 trials": lambda root: made_search(root, text=ONE_HOLE, trials=200).stop(),
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """The report of a kind of run, made once; to be read only."""
    made = {}

    def call(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp("kind")
            made[kind] = dmtsearch.report(RUNS[kind](folder / "run"), out=folder / "report")
        return made[kind]

    return call


@pytest.mark.parametrize("kind", RUNS)
def test_a_report_renders_with(kind, rendered):
    written = rendered(kind)
    page = Page(written.page.read_text(encoding="utf-8"))
    assert page.open == []
    assert all(title in page.text for title in TITLES)
    assert "None" not in page.text
    assert re.search(r"\bnan\b", page.text.replace("was nan in", "")) is None
    assert VERDICTS.search(page.text) is None


def test_with_no_finished_trial_there_is_no_answer_and_no_command(rendered):
    written = rendered("all failed")
    text = written.page.read_text(encoding="utf-8")
    assert "There is no answer: of 2 trials none has finished with a value (2 failed)." in text
    assert "All failed for one reason: no space left &lt;on&gt; device." in text
    assert written.next_command is None
    assert "dmtsearch train" not in text


def test_without_controls_the_page_says_that_there_is_nothing_to_compare_with(rendered):
    text = rendered("no controls").page.read_text(encoding="utf-8")
    assert "No control arm was run, so there is nothing to compare it with." in text


def test_controls_alone_are_named_and_nothing_is_to_be_confirmed(rendered):
    written = rendered("controls alone")
    text = written.page.read_text(encoding="utf-8")
    assert "the control arm direct_long is best" in text
    assert "No trial of the search has finished." in text
    assert written.next_command is None


def test_a_figure_of_many_trials_says_how_many_it_shows(rendered):
    written = rendered("200 trials")
    text = written.page.read_text(encoding="utf-8")
    assert "blue: the best 30 by" in text
    others = written.summary.finished - 30
    assert f"Of the other {others} trials 120 are drawn, evenly by rank." in text
    assert text.count("data-key") > 200
    assert len(text) < 1_500_000


def test_three_objectives_have_their_pareto_set(rendered):
    written = rendered("three objectives")
    text = Page(written.page.read_text(encoding="utf-8")).text
    for head in ("val accuracy (max)", "MACs (min)", "cold cost (min)"):
        assert head in text
    assert "under pareto/" in text


@pytest.mark.usefixtures("quick_figures")
def test_arms_that_a_space_cannot_have_are_listed_by_reason_and_nothing_is_advised(tmp_path):
    run = made_search(tmp_path / "run", trials=2, controls=False)
    for arm in ("scratch", "direct"):
        run.write(ArmMissing(arm, "the delivered stage is a selector"))
    run.write(ArmMissing("fitnet", "the schedule has no hints"))
    dmtsearch.report(run.root, out=tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert "This space can have no control arm, so none was run." in text
    assert "Not possible here, since the delivered stage is a selector: scratch, direct." in text
    assert "Not possible here, since the schedule has no hints: fitnet." in text
    assert "controls: default" not in text
    assert text.count("There is no control arm") == 2
    assert "- There is no control arm scratch and direct: the delivered stage is" in text
