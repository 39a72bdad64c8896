"""From what a run has found to the page and the Markdown."""

import re
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from dmtsearch.human import counted, printable, printable_line
from dmtsearch.reporting.agreement import agreement_section
from dmtsearch.reporting.all_trials import trials_section
from dmtsearch.reporting.answer import commands, facts, sentences
from dmtsearch.reporting.answer_figure import draw_answer
from dmtsearch.reporting.caveats import caveats_section
from dmtsearch.reporting.confirmation_section import confirmation_section
from dmtsearch.reporting.control_arms import arms_section
from dmtsearch.reporting.failures import failures_section
from dmtsearch.reporting.findings import Summary
from dmtsearch.reporting.glossary import glossary_section
from dmtsearch.reporting.hole_effects import holes_section
from dmtsearch.reporting.importance import importance_section
from dmtsearch.reporting.layout import Document, Section
from dmtsearch.reporting.learning_curves import curves_section
from dmtsearch.reporting.pareto import weight_section
from dmtsearch.reporting.policies import policies_section
from dmtsearch.reporting.prices import cost_words
from dmtsearch.reporting.provenance import provenance_section
from dmtsearch.reporting.recommended import recommended_section
from dmtsearch.reporting.selector_section import selector_section
from dmtsearch.reporting.sharing import sharing_section


def compose(summary: Summary) -> Document:
    """Return the whole report, with its drawings."""
    first, *details = sentences(summary)
    tiles, sections = facts(summary), _sections(summary)
    said = (first, *details, *(f"{tile.label} {tile.note}" for tile in tiles))
    return Document(
        name=summary.record.name,
        question=summary.record.question,
        answer=first,
        details=" ".join(details),
        facts=tiles,
        figure=draw_answer(summary),
        commands=commands(summary),
        state=_state(summary),
        splits=_splits(summary),
        sections=(*sections, glossary_section(sections, said)),
    )


def _sections(summary: Summary) -> tuple[Section, ...]:
    """The parts of a report, in order, but for the glossary."""
    record = summary.record
    cost = cost_words(summary.prices, summary.recommended)
    found = (
        recommended_section(summary.recommended, summary.chain, cost),
        policies_section(summary),
        confirmation_section(summary),
        selector_section(summary.selector),
        weight_section(record, summary.points, summary.front),
        arms_section(record, summary.arms, summary.steps),
        agreement_section(summary.agreement),
        curves_section(summary.curves, summary.paths, summary.best),
        holes_section(record, summary.holes),
        importance_section(summary.importance),
        trials_section(record, summary.recommended),
        sharing_section(summary.sharing, summary.effort.stage_seconds, summary.bars),
        failures_section(summary.failures, len(record.trials)),
        caveats_section(summary),
        provenance_section(summary),
    )
    return tuple(section for section in found if section is not None)


def _splits(summary: Summary) -> str:
    if not summary.test_openings:
        return "Every accuracy is on val; the test split was not opened."
    return "An accuracy is on val, unless it says test."


def _state(summary: Summary) -> str:
    states = ", ".join(f"{number} {state}" for state, number in summary.states.items() if number)
    controls = sum(summary.controls.values())
    total = sum(summary.states.values())
    parts = [counted(total, "search trial") + (f" ({states})" if states else "")]
    parts.append(counted(controls, "control run"))
    ends = [trial.ended.ended for trial in summary.record.trials if trial.ended is not None]
    if ends:
        parts.append(f"last result {max(ends)[:16].replace('T', ' ')} UTC")
    return " · ".join(parts)


def render_page(document: Document) -> str:
    """One self-contained HTML page: nothing is loaded from elsewhere."""
    style, script = Markup(_read("report.css")), Markup(_read("report.js"))
    page = _environment(escape=True).get_template("report.html")
    return printable(page.render(doc=document, style=style, script=script))


def render_markdown(document: Document) -> str:
    """The same as Markdown, with figures as files in `figures/`."""
    text = _environment(escape=False).get_template("report.md").render(doc=document)
    return printable(text).rstrip() + "\n"


def _environment(*, escape: bool) -> Environment:
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"tight": _tight, "prose": _prose, "words": _words, "cell": _cell}
    environment.filters.update(filters, alt=_alt, fence=_fence)
    return environment


def _prose(text: str) -> Markup:
    """Text for the page: what stands in backticks as code."""
    parts = enumerate(re.split(r"`([^`]+)`", text))
    return Markup().join(
        Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in parts
    )


def _tight(text: str) -> str:
    """Numbers stay on the line of their unit and of what they count."""
    return re.sub(r" (?=%|points|=|G |M |T )|(?<=n =) ", "\u00a0", text)


def _words(text: str) -> str:
    """Text for Markdown: no HTML, link or picture of somebody else's, and no second block."""
    text = printable_line(text).replace("&", "&amp;").replace("<", "&lt;")
    return _LINK.sub(r"]\\\1", text)


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return _words(text).replace("|", r"\|")


def _alt(text: str) -> str:
    """What a picture shows, within its brackets."""
    return _words(text).replace("[", r"\[").replace("]", r"\]")


def _fence(text: str) -> str:
    """The line around a block of code: longer than any such line in it."""
    return "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))


_LINK = re.compile(r"\]([(:\[])")
"""What makes `[..]` a link or a picture; a hole's name may hold brackets of its own."""


def _read(name: str) -> str:
    return (files("dmtsearch.reporting") / "templates" / name).read_text(encoding="utf-8")
