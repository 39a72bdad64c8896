"""A report in a real browser: accessible, no wider than a phone, and its small script works."""

from importlib.resources import files
from pathlib import Path

import pytest
from chromium import PROGRAM, Chromium
from made_selector import made_sweep, selector_run, try_selector

import dmtsearch

pytestmark = [
    pytest.mark.slow,  # starts no Ray; a browser reads a page of 600 kB four times
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine"),
]

PHONE, DESKTOP = 390, 1280
REPORTS = Path(__file__).parents[2] / "reports"
COMMITTED = sorted(REPORTS.glob("*/run"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(full_report, tmp_path_factory):
    text = full_report.page.read_text(encoding="utf-8")
    return text.replace(f"{tmp_path_factory.getbasetemp()}/", "")  # long, and not a reader's


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_axe_finds_nothing(browser, page, width, scheme):
    assert violations(browser, page, width, scheme) == []


def test_a_selectors_page_fits_a_phone_and_axe_finds_nothing(browser, tmp_path):
    run = selector_run(tmp_path / "run")
    try_selector(run, 0.8, made_sweep(), inputs="topk")
    written = dmtsearch.report(run.stop(), out=tmp_path / "report")
    page = written.page.read_text(encoding="utf-8")
    assert violations(browser, page, PHONE, "light") == []
    wide = browser.run(
        "[...document.querySelectorAll('.drawing')].filter((one) => one.checkVisibility() && "
        "one.scrollWidth > one.clientWidth + 1).length"
    )
    assert wide == 0


@pytest.mark.parametrize("name", [path.parent.name for path in COMMITTED])
def test_axe_finds_nothing_on_a_committed_report_and_it_fits_a_phone(browser, name):
    page = (REPORTS / name / "report.html").read_text(encoding="utf-8")
    assert violations(browser, page, DESKTOP, "dark") == []
    assert violations(browser, page, PHONE, "light") == []
    assert browser.run("document.documentElement.scrollWidth") <= PHONE


def violations(browser, page, width, scheme):
    """What axe finds on a page with all of it open: rule, how often, and the first place."""
    browser.show(page, width=width, prefers_color_scheme=scheme)
    browser.run((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    return browser.run(
        "axe.run(document, {resultTypes: ['violations']}).then((all) => all.violations.map("
        "(one) => [one.id, one.nodes.length, one.nodes[0].html.slice(0, 200)]))"
    )


def test_a_phone_scrolls_a_page_downwards_only(browser, page):
    browser.show(page, width=PHONE)
    assert browser.run("document.documentElement.scrollWidth") <= PHONE
    # What is wider than its place scrolls there, and takes the keyboard.
    scrolling = browser.run(
        "[...document.querySelectorAll('main *')].filter((one) => one.clientWidth > 0 && "
        "one.scrollWidth > one.clientWidth + 1 && "
        "['auto', 'scroll'].includes(getComputedStyle(one).overflowX))"
        ".map((one) => [one.tabIndex, one.getAttribute('role'), !!one.ariaLabel])"
    )
    assert scrolling
    assert all(one == [0, "region", True] for one in scrolling)
    # The answer, the figure and the first tiles are on the first two screens.
    assert browser.run("document.querySelector('.facts').getBoundingClientRect().top") < 2 * 844


def test_the_first_screen_of_a_desk_has_the_answer_the_tiles_and_the_commands(browser, page):
    browser.show(page, width=DESKTOP, height=800)
    for part in (".answer", ".facts", ".first figure", ".next"):
        end = browser.run(f"document.querySelector('{part}').getBoundingClientRect().bottom")
        assert end <= 800, part


def test_print_keeps_the_commands_and_the_schedules(browser, page):
    browser.show(page, width=700)
    browser.call("Emulation.setEmulatedMedia", media="print")
    shown = "(one) => one.checkVisibility() && one.getBoundingClientRect().height > 0"
    assert browser.run(f"[...document.querySelectorAll('.next pre')].every({shown})")
    # Of a printed page nothing can be scrolled: the width of A4 between its margins holds all.
    browser.show(page, width=673)
    browser.call("Emulation.setEmulatedMedia", media="print")
    tables = "[...document.querySelectorAll('table')].filter((one) => one.checkVisibility())"
    assert browser.run(f"{tables}.length") > 5
    assert browser.run(f"{tables}.every((one) => one.getBoundingClientRect().right <= 673)")
    # A thousand trials are a thousand files, which the run folder has.
    hidden = ".copy, nav, .filter, .files pre"
    assert not browser.run(f"[...document.querySelectorAll('{hidden}')].some({shown})")


def test_the_table_of_trials_is_sorted_and_filtered(browser, page):
    browser.show(page, width=DESKTOP)
    cells = "[...document.querySelectorAll('#trials .tools tbody tr:not([hidden])')].map((row) => "
    head = "document.querySelector('#trials .tools thead th:nth-child({}) button').click()"
    browser.run(head.format(1))
    numbers = browser.run(f"{cells} Number(row.cells[0].textContent))")
    assert numbers == sorted(numbers)
    browser.run(head.format(1))
    assert browser.run(f"{cells} Number(row.cells[0].textContent))") == numbers[::-1]
    # What has no value is last, in either direction.
    for _ in range(2):
        browser.run(head.format(4))
        values = browser.run(f"{cells} row.cells[3].dataset.key ?? '')")
        assert "" in values
        assert "" not in values[: values.index("")]
        assert set(values[values.index("") :]) == {""}
    browser.run(
        "(() => { const field = document.querySelector('#trials input[type=search]');"
        "field.value = 'fitnet done'; field.dispatchEvent(new Event('input')); })()"
    )
    assert browser.run(f"{cells} row.cells[1].textContent)") == ["fitnet"]


def test_a_number_opens_its_schedule_and_any_two_trials_are_compared(browser, page):
    browser.show(page, width=DESKTOP)
    browser.run("document.querySelector('#trials a[href=\"#yaml-3\"]').click()")
    browser.run("dispatchEvent(new Event('hashchange'))")
    assert browser.run("document.getElementById('yaml-3').checkVisibility()")
    browser.run(
        "(() => { const [one, two] = document.querySelectorAll('.choose select');"
        "one.value = '0'; two.value = '3'; two.dispatchEvent(new Event('change')); })()"
    )
    heads = "[...document.querySelectorAll('.comparison thead th')].map((one) => one.textContent)"
    assert browser.run(heads) == ["what", "trial 0", "trial 3"]
    arms = browser.run("[...document.querySelector('.comparison tbody tr').cells].map("
                       "(one) => one.textContent)")  # fmt: skip
    assert arms == ["arm", "scratch", "direct"]
    assert "+ name: direct" in browser.run(
        "document.querySelector('.comparison code').textContent"
    )


def test_a_button_copies_a_command(browser, page):
    browser.show(page, width=DESKTOP)
    browser.run(
        "(() => { window.copied = []; Object.defineProperty(navigator, 'clipboard', {value: "
        "{writeText: (text) => { window.copied.push(text); return Promise.resolve(); }}}); })()"
    )
    browser.run("document.querySelector('.next .copy').click()")
    command = browser.run("document.querySelector('.next pre').textContent")
    assert browser.run("window.copied") == [command.rstrip()]
    assert command.startswith("dmtsearch confirm ")
