"""How all figures look, and how a drawing becomes SVG for a page or for a file.

Figures are drawn in stand-in colours. On a page these become CSS variables, so that one drawing
serves light and dark; in a file they become the light colours.
"""

import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, MaxNLocator, NullFormatter

from dmtsearch.human import printable, printable_line
from dmtsearch.reporting.measures import measure_of

INK, MUTED, LINE = "#010203", "#010204", "#010205"

SEARCH, CONTROL, OTHER = "#010206", "#010207", "#010208"

PAPER, SOFT_SEARCH, SOFT_CONTROL = "#010209", "#01020a", "#01020b"

_COLOURS = {
    INK: ("--ink", "#1d2329"),
    MUTED: ("--muted", "#5d6874"),
    LINE: ("--line", "#dfe3e7"),
    SEARCH: ("--search", "#1f5fa8"),
    CONTROL: ("--control", "#b25a12"),
    OTHER: ("--other", "#8a94a0"),
    PAPER: ("--paper", "#ffffff"),
    SOFT_SEARCH: ("--soft-search", "#dbe8f6"),
    SOFT_CONTROL: ("--soft-control", "#f8e6d6"),
}

_FONTS = "ui-sans-serif, system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_LONGEST = 60  # characters of a line of a label

PHONE = 268.0
"""Points: 357 pixels, the width of a phone's page."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.linewidth": 0.8,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "xtick.major.pad": 4,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "hatch.linewidth": 0.6,
}


@dataclass(frozen=True)
class Drawing:
    """A figure of a report.

    Attributes:
        name: Of its file, without suffix.
        title: Above it, in a few words; empty where the section's heading says it.
        alt: What it shows, for those who do not see it.
        caption: What to look at, and n.
        width: Natural width in points.
        body: SVG in stand-in colours.
        phone: The same, drawn as wide as a phone's page; empty where `body` fits there.
    """

    name: str
    title: str
    alt: str
    caption: str
    width: float
    body: str
    phone: str = ""

    @property
    def inline(self) -> str:
        """SVG for a page: colours and fonts are the page's."""
        return _in_variables(self.body)

    @property
    def inline_phone(self) -> str:
        """The same for a phone's page."""
        return _in_variables(self.phone)

    @property
    def file(self) -> str:
        """SVG for a file of its own, on white paper."""
        text = self.body
        for stand_in, (_, colour) in _COLOURS.items():
            text = text.replace(stand_in, colour)
        paper = '<rect width="100%" height="100%" fill="#ffffff"/>'
        return re.sub(r"(</title>)", rf"\1{paper}", text, count=1) + "\n"


def _in_variables(text: str) -> str:
    for stand_in, (variable, _) in _COLOURS.items():
        text = text.replace(stand_in, f"var({variable})")
    return text


def draw(
    name: str,
    paint: Callable[[Figure], None],
    *,
    size: tuple[float, float],
    alt: str,
    caption: str,
    title: str = "",
    phone_height: float | None = None,
) -> Drawing:
    """Return the drawing that `paint` makes on a figure of `size` (width, height) in points.

    A figure that is wider than a phone's page is painted a second time, as wide as that and
    `phone_height` high.

    A stage or hole in `name` may be called anything; the file's name keeps plain characters only.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:100]
    alt, title, caption = printable_line(alt), printable_line(title), printable(caption)
    narrow = ""
    if size[0] > PHONE + 10:
        height = phone_height or size[1] + 24  # a legend of more rows
        narrow = _paint(f"{name}-phone", paint, (PHONE, height), alt, longest=_LONGEST // 3)
    return Drawing(name, title, alt, caption, size[0], _paint(name, paint, size, alt), narrow)


def _paint(
    salt: str,
    paint: Callable[[Figure], None],
    size: tuple[float, float],
    alt: str,
    longest: int = _LONGEST,
) -> str:
    # The salt makes ids of clip paths and markers the same at each rendering, and different from
    # those of the page's other drawings.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": salt}):
        figure = Figure(figsize=(size[0] / 72, size[1] / 72), layout="constrained")
        paint(figure)
        _make_printable(figure, longest)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator"), None))
    return printable(_clean(file.getvalue(), alt))


def is_narrow(figure: Figure) -> bool:
    """Whether a figure is painted for a phone."""
    return figure.get_figwidth() * 72 <= PHONE


def _make_printable(figure: Figure, longest: int) -> None:
    """Take control characters out of every text, for which no font has a glyph."""
    for text in figure.findobj(Text):
        text.set_text(printable(text.get_text()))
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if isinstance(axis.get_major_locator(), FixedLocator):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            shown = [_cut(label, longest) for label in labels]
            if shown != labels:
                axis.set_ticks(axis.get_ticklocs(), shown)


def _cut(label: str, longest: int) -> str:
    """A label that leaves room for the figure."""
    lines = printable(label).split("\n")[:3]
    return "\n".join(line if len(line) <= longest else f"{line[:longest]}..." for line in lines)


def _clean(svg: str, alt: str) -> str:
    """Only the `<svg>` element, without ids that other drawings have too."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    # The one style rule would reach the whole page; its first half is an attribute below.
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    # A font list as matplotlib writes it, with and without quotes.
    svg = re.sub(r"(font: [^;\"]*?\d(?:px)? )[^;\"]*", rf"\1{_FONTS}", svg)
    svg = re.sub(r"font-family: [^;\"]*", f"font-family: {_FONTS}", svg)
    head, _, rest = svg.partition(">")
    head = re.sub(r'\s(xmlns:xlink|version)="[^"]*"', "", head)
    rest = rest.replace("xlink:href", "href")
    return f'{head} stroke-linejoin="round" role="img"><title>{escape(alt)}</title>{rest}'


def axis_label(objective: str) -> str:
    """A measure with its unit, for an axis: `val accuracy (%)`."""
    measure = measure_of(objective)
    return f"{measure.label} ({measure.unit.strip()})" if measure.unit else measure.label


def scaled(objective: str, values: Iterable[float]) -> list[float]:
    """Values as an axis shows them."""
    scale = measure_of(objective).scale
    return [value * scale for value in values]


def label_amounts(axis: Axis) -> None:
    """Write large numbers in short: 50 k, 1.2 M, 3 T."""
    axis.set_major_formatter(EngFormatter(sep=" "))
    axis.set_minor_formatter(NullFormatter())


def spread_log(axes: Axes, axis: str, values: Sequence[float]) -> None:
    """A logarithmic axis where values differ by more than three times, with few plain ticks."""
    set_scale = axes.set_xscale if axis == "x" else axes.set_yscale
    line = axes.xaxis if axis == "x" else axes.yaxis
    if values and min(values) > 0 and max(values) > 3 * min(values):
        set_scale("log")
        subs = (1.0,) if max(values) > 30 * min(values) else (1.0, 2.0, 5.0)
        line.set_major_locator(LogLocator(base=10, subs=subs))
    else:
        line.set_major_locator(MaxNLocator(nbins=5))


def only_horizontal(axes: Axes) -> None:
    """Grid lines along x only."""
    axes.grid(False, axis="x")


def only_vertical(axes: Axes) -> None:
    """Grid lines along y only."""
    axes.grid(False, axis="y")


def jitter(index: int) -> float:
    """A fixed offset in [-1, 1] for the dot of `index`; successive ones lie far apart."""
    return 2 * ((index * 0.6180339887498949) % 1.0) - 1
