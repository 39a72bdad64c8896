"""From a summary to the page and the Markdown."""

import re
from collections.abc import Callable
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from dmtsearch.commands import command_line
from dmtsearch.engine.paths import RunPaths
from dmtsearch.printable import printable, printable_line
from dmtsearch.reporting.answer import answer, facts
from dmtsearch.reporting.document import Document, Section
from dmtsearch.reporting.sections.accounting import (
    caveats_section,
    failures_section,
    provenance_section,
    sharing_section,
)
from dmtsearch.reporting.sections.best import best_section
from dmtsearch.reporting.sections.comparing import arms_section, curves_section, weight_section
from dmtsearch.reporting.sections.explaining import holes_section, importance_section
from dmtsearch.reporting.sections.selector import selector_section
from dmtsearch.reporting.summary import Summary
from dmtsearch.reporting.words import plural

SECTIONS: tuple[Callable[[Summary], Section | None], ...] = (
    best_section,
    selector_section,
    arms_section,
    holes_section,
    importance_section,
    weight_section,
    curves_section,
    sharing_section,
    failures_section,
    caveats_section,
    provenance_section,
)


def compose(summary: Summary) -> Document:
    """Return the whole report, with its drawings."""
    return Document(
        name=summary.record.name,
        question=summary.record.question,
        answer=answer(summary),
        facts=facts(summary),
        next_command=next_command(summary),
        state=_state(summary),
        sections=tuple(found for make in SECTIONS if (found := make(summary)) is not None),
    )


def next_command(summary: Summary) -> str | None:
    """The command that trains the best schedule; None where there is none."""
    if summary.best is None:
        return None
    root = summary.record.root
    out = f"out/{root.resolve().name}"
    return command_line("train", RunPaths(root).best_schedule, "--out", out)


def _state(summary: Summary) -> str:
    states = ", ".join(f"{number} {state}" for state, number in summary.states.items() if number)
    controls = sum(summary.controls.values())
    total = sum(summary.states.values())
    parts = [plural(total, "search trial") + (f" ({states})" if states else "")]
    parts.append(plural(controls, "control run"))
    ends = [trial.ended.ended for trial in summary.record.trials if trial.ended is not None]
    if ends:
        parts.append(f"last result {max(ends)[:16].replace('T', ' ')} UTC")
    return " · ".join(parts)


def render_page(document: Document) -> str:
    """One self-contained HTML page: no script, nothing loaded from elsewhere."""
    style = Markup(_read("report.css"))
    page = _environment(escape=True).get_template("report.html")
    return printable(page.render(doc=document, style=style))


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
    environment.filters.update(words=_words, cell=_cell, alt=_alt, fence=_fence)
    return environment


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
