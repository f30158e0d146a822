"""Pictures of the report, as SVG that needs no script. Pure: from figures to text.

Colours and strokes are classes of the page's stylesheet, so that both themes and the printer have theirs. Whatever is
over is hatched as well as red, and every picture says in ``aria-label`` what it shows.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from coresys.budgets.wording import printable

WIDE = 480  # of a card's picture, in its own units
_MOST_LANES = 5
_MOST_BARS = 5
SCALE = 150  # percent of the limit, which is where a row's scale ends


class Verbatim(str):
    """Text that goes into the page as it is: our own, or escaped already."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


class Drawing(Verbatim):
    """A picture."""

    __slots__ = ()


def text(value: object) -> str:
    """The value as text of a page: on one line, nothing in it that a browser or a reader's eye would obey."""
    return html.escape(printable(value, ascii_only=False))


def short(value: object, most: int) -> str:
    """The value in so many characters, shortened in the middle, where names say least."""
    plain = str(value)
    if len(plain) <= most:
        return plain
    tail = (most - 1) // 2
    return f"{plain[: most - 1 - tail]}\u2026{plain[len(plain) - tail :]}"


def svg(width: float, height: float, label: str, body: str, kind: str = "") -> Drawing:
    """A picture with what it shows in words."""
    named = f' class="{kind}"' if kind else ""
    return Drawing(
        f'<svg{named} viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}"'
        f' role="img" aria-label="{text(label)}">{body}</svg>'
    )


def _n(value: float) -> str:
    return f"{round(value, 1):g}"


def _text(x: float, y: float, words: object, kind: str = "", anchor: str = "", most: int = 200) -> str:
    attributes = f' class="{kind}"' if kind else ""
    attributes += f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{_n(x)}" y="{_n(y)}"{attributes}>{text(short(words, most))}</text>'


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 1))}" height="{_n(height)}" rx="2"/>'


def _path(points: Iterable[tuple[float, float]], kind: str) -> str:
    return f'<path class="{kind}" d="M{"L".join(f"{_n(x)} {_n(y)}" for x, y in points)}"/>'


# -- growth ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line from the origin of a picture of growth, with its name."""

    rate: float
    name: str


def growth(
    xs: Sequence[float],
    ys: Sequence[float],
    *,
    slope: Line,
    budget: Line | None,
    interval: tuple[float, float] | None = None,
    x_name: str,
    shown: Callable[[float], str],
    label: str,
) -> Drawing:
    """What was measured, over repetitions or time, with the slope that is judged and that of the budget.

    ``interval`` are the ends of the slope's, drawn as a wedge; ``shown`` writes a figure of the y axis.
    """
    left, right, top, bottom = 66.0, WIDE - 6.0, 16.0, 100.0
    end = max(xs, default=0.0) or 1.0
    rates = [slope.rate, *(interval or ())]
    most = max([*ys, *(rate * end for rate in rates)], default=0.0)
    least = min([0.0, *ys])
    span = (most - least) or 1.0

    def at(x: float, y: float) -> tuple[float, float]:
        return left + (right - left) * x / end, bottom - (bottom - top) * (y - least) / span

    zero = at(0, 0)[1]
    body = f'<path class="gr" d="M{_n(left)} {_n(top)}H{_n(right)}M{_n(left)} {_n(zero)}H{_n(right)}"/>'
    body += _text(left - 6, top + 4, shown(most), anchor="end") + _text(left - 6, zero + 4, shown(0), anchor="end")
    if interval is not None:
        low, high = interval
        corners = [at(0, 0), at(end, max(low * end, least)), at(end, high * end)]
        body += f'<path class="wd" d="M{"L".join(f"{_n(x)} {_n(y)}" for x, y in corners)}Z"/>'
    if budget is not None:
        reached = min(end, most / budget.rate) if budget.rate > 0 else end
        body += _path([at(0, 0), at(reached, budget.rate * reached)], "lim")
        near_top = budget.rate * end > most * 0.6
        x, y = at(end * 0.97, 0) if not near_top else at(end * 0.5, 0)
        body += _text(x, y - 5 if not near_top else bottom - 6, budget.name, anchor="end")
    body += _path([at(0, 0), at(end, slope.rate * end)], "lf")
    if xs:
        body += _path([at(x, y) for x, y in zip(xs, ys, strict=True)], "ln")
        body += "".join(f'<circle class="pt" cx="{_n(x)}" cy="{_n(y)}" r="2"/>' for x, y in _some(xs, ys, at))
    body += _text(left + 6, top + 12, slope.name, "f")
    body += _text(left, bottom + 15, "0") + _text(right, bottom + 15, x_name, anchor="end")
    return svg(WIDE, 120, label, body)


def _some(
    xs: Sequence[float], ys: Sequence[float], at: Callable[[float, float], tuple[float, float]]
) -> list[tuple[float, float]]:
    return [at(x, y) for x, y in zip(xs, ys, strict=True)] if len(xs) <= 30 else []


# -- bars -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """One of several to compare: its share of the axis's unit, what is written behind it, and whether it is over."""

    name: str
    value: float
    told: str
    over: bool = False


def bars(entries: Sequence[Bar], *, limit: float, limit_name: str, label: str) -> Drawing:
    """Bars with names before and figures behind them, and a dashed line where the budget is."""
    shown = entries[:_MOST_BARS]
    left, room = 128.0, 214.0
    most = max([entry.value for entry in shown] + [limit]) or 1.0
    height = len(shown) * 26 + 22
    body = ""
    for at, entry in enumerate(shown):
        y = at * 26 + 8
        body += _text(0, y + 12, entry.name, "k", most=19)
        length = room * entry.value / most
        body += _rect(left, y, length, 16, "o" if entry.over else "b")
        # Behind the bar, or behind the budget's line where the bar ends before it.
        body += _text(left + length + 8, y + 12, entry.told, most=22)
    if limit:
        x = left + room * limit / most
        body += f'<path class="lim" d="M{_n(x)} 2V{_n(height - 14)}"/>'
        body += _text(x, height - 3, limit_name, anchor="middle")
    return svg(WIDE, height, label, body)


def gauge(value: float, limit: float, *, told: str, limit_name: str, label: str) -> Drawing:
    """One figure beside its budget, on a scale that holds both."""
    end = max(value, limit * SCALE / 100) or 1.0
    room = WIDE - 10.0
    x = room * limit / end
    body = _rect(0, 22, room * min(value, limit) / end, 20, "b")
    if value > limit:
        body += _rect(x, 22, room * (value - limit) / end, 20, "o")
    body += f'<path class="lim" d="M{_n(max(x, 1))} 14V50"/>'
    anchor = "start" if x < WIDE * 0.6 else "end"
    body += _text(max(x, 0), 64, limit_name, anchor=anchor)
    body += _text(room * min(value / end, 1), 14, told, "f", "end" if value / end > 0.3 else "start")
    return svg(WIDE, 72, label, body)


def blocks(share: float, limit: float, *, told: str, limit_name: str, label: str) -> Drawing:
    """A map of a hundred blocks, each a hundredth of what is in use: those that are stranded are hatched."""
    stranded = min(math.ceil(share * 100 - 1e-9), 100)
    cells = []
    for at in range(100):
        x, y = at % 25 * 19.2, at // 25 * 16
        cells.append(_rect(x, y, 16, 13, "o" if at < stranded else "b"))
    body = "".join(cells)
    at = round(limit * 100)
    if 0 < at < 25:  # in the first row
        body += f'<path class="lim" d="M{_n(at * 19.2 - 1.6)} -2V15"/>'
    body += _text(0, 80, told, "f") + _text(WIDE, 80, limit_name, anchor="end")
    return svg(WIDE, 86, label, body)


# -- what outlives a test --------------------------------------------------------------------------------------------


def lifelines(names: Sequence[str], *, after: str, label: str) -> Drawing:
    """The test's own bar, and below it one bar for each thing that outlives it. Not to scale: it shows the order."""
    shown = names[:_MOST_LANES]
    left, ends, right = 178.0, 356.0, WIDE - 4.0
    height = (len(shown) + 1) * 24 + 26
    body = f'<path class="gr" d="M{_n(left)} 4V{_n(height - 16)}M{_n(ends)} 4V{_n(height - 16)}"/>'
    body += _text(0, 19, "the test", "k") + _rect(left, 8, ends - left, 14, "b")
    for at, name in enumerate(shown, 1):
        y = at * 24 + 8
        start = left + 26 + 18 * (at - 1)
        body += _text(0, y + 11, name, "k", most=27)
        body += _rect(start, y, ends - start, 14, "b") + _rect(ends, y, right - ends, 14, "o")
    body += _text(left, height - 3, "test starts", anchor="middle") + _text(ends, height - 3, "ends", anchor="middle")
    body += _text(right, height - 3, after, "f", "end", most=26)
    return svg(WIDE, height, label, body)


# -- circles of locks ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one box of a circle to the next: who went that way, and where."""

    source: str
    target: str
    who: str
    where: str = ""


def circle(arrows: Sequence[Arrow], label: str) -> Drawing:
    """Two boxes and two arrows for a circle of two; boxes on a ring, with numbered arrows, for a longer one."""
    if len(arrows) == 1:
        return _loop(arrows[0], label)
    return _two(arrows[0], arrows[1], label) if len(arrows) == 2 else _ring(arrows, label)


def _box(x: float, y: float, width: float, name: str) -> str:
    return (
        f'<rect class="bx" x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="36" rx="8"/>'
        f"{_text(x + width / 2, y + 22, name, 'k', 'middle', most=int(width / 7))}"
    )


def _head(x: float, y: float, angle: float) -> str:
    """An arrow's head, its tip at x, y."""
    corners = [(x, y)]
    for turn in (2.72, -2.72):
        corners.append((x + 10 * math.cos(angle + turn), y + 10 * math.sin(angle + turn)))
    return f'<path class="ah" d="M{"L".join(f"{_n(a)} {_n(b)}" for a, b in corners)}Z"/>'


def _two(one: Arrow, other: Arrow, label: str) -> Drawing:
    width = 140.0
    right = WIDE - width - 1
    body = _box(1, 40, width, one.source) + _box(right, 40, width, one.target)
    body += f'<path class="lf" d="M{_n(width + 1)} 50C{_n(width + 60)} 26 {_n(right - 60)} 26 {_n(right - 7)} 48"/>'
    body += _head(right, 51, 0.42)
    body += f'<path class="lf" d="M{_n(right)} 68C{_n(right - 60)} 92 {_n(width + 60)} 92 {_n(width + 8)} 70"/>'
    body += _head(width + 1, 67, math.pi + 0.42)
    for arrow, y in ((one, 16), (other, 112)):
        body += (
            f'<text x="{WIDE // 2}" y="{y}" text-anchor="middle"><tspan class="k">{text(short(arrow.who, 24))}</tspan>'
            f" {text(short(arrow.where, 52))}</text>"
        )
    return svg(WIDE, 120, label, body)


def _loop(arrow: Arrow, label: str) -> Drawing:
    body = _box(160, 50, 160, arrow.source)
    body += '<path class="lf" d="M200 50C200 14 280 14 280 42"/>' + _head(280, 50, math.pi / 2)
    body += _text(WIDE / 2, 104, f"{arrow.who} {arrow.where}", anchor="middle", most=70)
    return svg(WIDE, 112, label, body)


def _ring(arrows: Sequence[Arrow], label: str) -> Drawing:
    number, wide, high = len(arrows), 130.0, 36.0
    height = 150.0 + 14.0 * number
    middle_x, middle_y = WIDE / 2, 74.0
    centres = []
    for at in range(number):
        angle = 2 * math.pi * at / number - math.pi / 2
        centres.append((middle_x + 160 * math.cos(angle), middle_y + 52 * math.sin(angle)))
    body, told = "", ""
    for at, arrow in enumerate(arrows):
        (x1, y1), (x2, y2) = centres[at], centres[(at + 1) % number]
        length = math.hypot(x2 - x1, y2 - y1) or 1.0
        angle = math.atan2(y2 - y1, x2 - x1)
        cut = min(wide / 2 / max(abs(math.cos(angle)), 0.01), high / 2 / max(abs(math.sin(angle)), 0.01)) + 2
        ax, ay = x1 + (x2 - x1) * cut / length, y1 + (y2 - y1) * cut / length
        bx, by = x2 - (x2 - x1) * cut / length, y2 - (y2 - y1) * cut / length
        body += _path([(ax, ay), (bx - 6 * math.cos(angle), by - 6 * math.sin(angle))], "lf") + _head(bx, by, angle)
        body += _text((ax + bx) / 2 + 6, (ay + by) / 2 - 5, at + 1, "f")
        told += _text(0, 162 + 14 * at, f"{at + 1}  {arrow.who}  {arrow.where}", most=78)
    for (x, y), arrow in zip(centres, arrows, strict=True):
        body += _box(x - wide / 2, y - high / 2, wide, arrow.source)
    return svg(WIDE, height, label, body + told)


# -- rows: all on one scale ------------------------------------------------------------------------------------------

ROW, ROW_HIGH = 150, 33


def row(
    shares: Sequence[tuple[float, float, int]], judged: float | None, label: str, *, at_least: bool = False
) -> Drawing:
    """Samples of a row against its budget: from nothing to half as much again, the budget always in the same place.

    ``shares``: from, to (in parts of the limit) and how many. ``judged`` is marked by a triangle. With ``at_least``
    what falls short of the limit is what is over.
    """
    columns = [0.0] * 30
    for low, high, count in shares:
        middle = min(max((low + high) / 2, 0.0), 1.4999)
        columns[int(middle * 20)] += count
    most = max(columns, default=0.0)
    inside, outside = "", ""
    for at, many in enumerate(columns):
        if many:
            tall = max(round(20 * many / most), 2)
            bar = f"M{at * 5} {24 - tall}h4v{tall}h-4z"
            if (at >= 20) != at_least:
                outside += bar
            else:
                inside += bar
    body = f'<path class="b" d="{inside}"/>' if inside else ""
    body += f'<path class="o" d="{outside}"/>' if outside else ""
    body += f'<path class="ax" d="M0 24.5h{ROW}"/><path class="lim" d="M100 0v25"/>'
    if judged is not None and judged * 100 > ROW:
        body += f'<path class="mk" d="M{ROW} 28.5l-7-4v8z"/>'  # beyond the scale
    elif judged is not None:
        body += f'<path class="mk" d="M{_n(max(judged, 0.0) * 100)} 25l-4 7h8z"/>'
    return svg(ROW, ROW_HIGH, label, body, "h")


def axis() -> Drawing:
    """The head of the column: what the scale of every row is."""
    body = '<text x="0" y="10">0</text><text x="100" y="10" text-anchor="middle">budget</text>'
    return Drawing(f'<svg class="h" viewBox="0 0 150 12" width="150" height="12" aria-hidden="true">{body}</svg>')


def trend(values: Sequence[float], limit: float | None, label: str) -> Drawing:
    """The last runs as a line, the newest marked, the limit dashed."""
    wide, high = 84.0, 24.0
    top = max([*values, limit or 0.0]) or 1.0
    low = min([*values, 0.0])

    def at(number: int, value: float) -> tuple[float, float]:
        step = (wide - 6) / max(len(values) - 1, 1)
        return 2 + step * number, high - 2 - (high - 5) * (value - low) / ((top - low) or 1.0)

    points = [at(number, value) for number, value in enumerate(values)]
    body = ""
    if limit is not None:
        y = at(0, limit)[1]
        body += f'<path class="lim" d="M0 {_n(y)}H{_n(wide)}"/>'
    if len(points) > 1:
        body += _path(points, "ln")
    x, y = points[-1]
    body += f'<circle class="mk" cx="{_n(x)}" cy="{_n(y)}" r="2.4"/>'
    return svg(wide, high, label, body, "s")


def histogram(
    buckets: Sequence[tuple[float, float, int]],
    *,
    limit: float,
    judged: float,
    statistic: str,
    shown: Callable[[float], str],
    label: str,
    at_least: bool = False,
) -> Drawing:
    """All samples of a criterion: how many at which value, with the budget and the value that is judged."""
    end = max([high for _, high, count in buckets if count] + [limit * 1.1, judged * 1.05]) or 1.0
    columns = [0.0] * 60
    for low, high, count in buckets:
        width = _spread(low, high, end)
        for part in range(width):  # a wide bucket is drawn over all the columns that it covers
            columns[min(int((low + (high - low) * (part + 0.5) / width) / end * 60), 59)] += count / width
    most = max(columns) or 1.0
    body = ""
    for at, many in enumerate(columns):
        if many:
            tall = max(56 * many / most, 1.5)
            over = ((at + 0.5) / 60 * end >= limit) != at_least
            body += (
                f'<rect class="{"o" if over else "b"}" x="{at * 8}" y="{_n(66 - tall)}" width="7" height="{_n(tall)}"/>'
            )
    x, mark = limit / end * WIDE, judged / end * WIDE
    body += f'<path class="ax" d="M0 66.5H{WIDE}"/><path class="lim" d="M{_n(x)} 0V72"/>'
    body += f'<path class="mk" d="M{_n(mark)} 66l-4 7h8z"/>'
    left, right = sorted(((x, f"budget {shown(limit)}", ""), (mark, f"{statistic} {shown(judged)}", "k")))
    body += _text(min(left[0], WIDE - 240), 86, left[1], left[2], "end" if left[0] > 110 else "start")
    body += _text(max(right[0], min(left[0], WIDE - 240) + 8), 86, right[1], right[2], _anchor(right[0], left[0]))
    return svg(WIDE, 92, label, body)


def _anchor(x: float, other: float) -> str:
    return "end" if x > WIDE - 110 and x - other > 120 else "start"


def _spread(low: float, high: float, end: float) -> int:
    return min(max(int((high - low) / end * 60), 1), 60)


# -- the order of locks ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Box:
    """A node of the graph, and where it is drawn."""

    number: int
    name: str
    kind: str
    site: str
    bad: bool
    column: int
    row: int


# Of the graph: a box, and the way from one to the next. Between two rows is room for lanes: of what leads back to the
# left below the upper half of it, so that no two are one line.
_BOX_WIDE, _BOX_HIGH, _ACROSS, _DOWN, _TOP = 190.0, 42.0, 270.0, 76.0, 20.0
_LANES = 4


def graph(boxes: Sequence[Box], edges: Sequence[tuple[int, int, bool]], label: str) -> Drawing:
    """Boxes in columns, from what is taken first to what is taken last; edges of circles are red and thicker."""
    places: Mapping[int, Box] = {box.number: box for box in boxes}
    columns = max((box.column for box in boxes), default=0) + 1
    rows = max((box.row for box in boxes), default=0) + 1
    # Letters may be wider than they are on average: what is written in a box ends where the box does.
    body = f'<clipPath id="inbox"><rect width="{_n(_BOX_WIDE - 4)}" height="{_n(_BOX_HIGH)}"/></clipPath>'
    for source, target, bad in sorted(edges, key=lambda edge: edge[2]):
        if source in places and target in places:
            body += _edge(places[source], places[target], bad)
    for box in boxes:
        x, y = _corner(box)
        body += (
            f'<g class="nd{" bad" if box.bad else ""}" data-n="{box.number}" transform="translate({_n(x)} {_n(y)})">'
            f'<rect class="bx" width="{_n(_BOX_WIDE)}" height="{_n(_BOX_HIGH)}" rx="8"/><g clip-path="url(#inbox)">'
            f"{_text(10, 18, box.name, 'k', most=25)}{_text(10, 33, box.site or box.kind, most=27)}</g>"
            f"<title>{text(f'{box.name}, {box.kind}')}{text(f', made at {box.site}') if box.site else ''}</title></g>"
        )
    return svg((columns - 1) * _ACROSS + _BOX_WIDE + 64, rows * _DOWN + _TOP - 8, label, body, "g")


def _corner(box: Box) -> tuple[float, float]:
    return box.column * _ACROSS + 2, box.row * _DOWN + _TOP


def _edge(source: Box, target: Box, bad: bool) -> str:
    wide, high = _BOX_WIDE, _BOX_HIGH
    (x1, y1), (x2, y2) = _corner(source), _corner(target)
    x1, y1, y2 = x1 + wide, y1 + high / 2, y2 + high / 2
    if abs(target.column - source.column) > 1:
        # Past the boxes between, in the gap below the source's row, or above it to the left; not all on one line.
        way = 1 if target.column > source.column else -1
        x1, x2 = (x1, x2) if way > 0 else (x1 - wide, x2 + wide)
        lane = y1 + way * (high / 2 + 5 + source.number % _LANES * 3.5)
        y1, y2 = (y1, y2) if way > 0 else (y1 - 13, y2 - 13)  # beside what leads to and from the next box
        line = (
            f"M{_n(x1)} {_n(y1)}C{_n(x1 + way * 34)} {_n(y1)} {_n(x1 + way * 14)} {_n(lane)}"
            f" {_n(x1 + way * 48)} {_n(lane)}H{_n(x2 - way * 48)}"
            f"C{_n(x2 - way * 14)} {_n(lane)} {_n(x2 - way * 34)} {_n(y2)} {_n(x2 - way * 6)} {_n(y2)}"
        )
        tip = _head(x2, y2, 0 if way > 0 else math.pi)
    elif target.column > source.column:
        # Both ways between two boxes: each has a height of its own.
        y1, y2 = y1 - 6, y2 - 6
        bend = max((x2 - x1) / 2, 24)
        line = f"M{_n(x1)} {_n(y1)}C{_n(x1 + bend)} {_n(y1)} {_n(x2 - bend)} {_n(y2)} {_n(x2 - 6)} {_n(y2)}"
        tip = _head(x2, y2, 0)
    elif target.column < source.column:
        x1, x2 = x1 - wide, x2 + wide
        y1, y2 = y1 + 8, y2 + 8
        bend = max((x1 - x2) / 2, 24)
        line = f"M{_n(x1)} {_n(y1)}C{_n(x1 - bend)} {_n(y1)} {_n(x2 + bend)} {_n(y2)} {_n(x2 + 6)} {_n(y2)}"
        tip = _head(x2, y2, math.pi)
    else:
        x2 += wide
        lift = -6 if target.row > source.row else 6
        y1, y2 = y1 + lift, y2 + lift
        out = 26 + 12 * abs(target.row - source.row)
        out = min(out, 60)
        line = f"M{_n(x1)} {_n(y1)}C{_n(x1 + out)} {_n(y1)} {_n(x2 + out)} {_n(y2)} {_n(x2 + 6)} {_n(y2)}"
        tip = _head(x2, y2, math.pi)
    kind = "lf" if bad else "ln"
    ends = f'data-f="{source.number}" data-t="{target.number}"'
    return f'<g class="ed{" bad" if bad else ""}" {ends}><path class="{kind}" d="{line}"/>{tip}</g>'
