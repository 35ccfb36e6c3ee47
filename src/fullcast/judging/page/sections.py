"""The sections of the page, one function each: records in, HTML out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fullcast.judging.page.charts import WIDE, color, colors_of, line_chart, success_chart
from fullcast.judging.page.html import Content, Html, number, percent, tag
from fullcast.judging.page.pictures import Pictures
from fullcast.judging.page.tables import confusion, success_table
from fullcast.judging.report_data import (
    CastMember,
    Exhibits,
    Fact,
    FailureGroup,
    Gallery,
    Point,
    ReportData,
    Series,
    Shown,
    Table,
)

FRAME_PX, PORTRAIT_PX, PICTURE_PX = 520, 144, 320
"""Longest side of embedded pictures: a page with a hundred of them stays near 5 MB."""


def header(data: ReportData, pictures: Pictures, title: str = "Fullcast report") -> Html:
    """Name, what the model can do in one line, a tile for each number of people, a strip of pictures that succeeded."""
    forms = sum(len(member.forms) for member in data.cast)
    looks = (
        f"{len(data.cast)} characters in {forms} looks" if forms > len(data.cast) else f"{len(data.cast)} characters"
    )
    main = _main_series(data)
    lead = [f"A model of {looks}." if data.cast else "A model and its cast."]
    if main:
        # The most people of whom at least every second picture is right, else the most of whom any is.
        several = [p for p in main.points if p.value > 0]
        several = [p for p in several if p.value >= 0.5] or several[:1]
        if several:
            best = several[-1]
            whom = "one of them" if best.num_people == 1 else f"{best.num_people} of them at once"
            lead.append(f" Asked for {whom}, it draws everybody right in {percent(best.value)} of pictures.")
        else:
            lead.append(f" None of {sum(p.num_pictures for p in main.points)} judged pictures is right yet.")
    tiles = [_tile(point) for point in main.points] if main else []
    name = _main_name(data)
    strip = [tag("div", pictures.embed(s.path, PICTURE_PX, s.caption), class_="strip-item") for s in _strip(data)]
    return tag(
        "header",
        tag("p", title, data.made and f" · {data.made}", class_="eyebrow"),
        tag("h1", data.show),
        tag("p", lead, class_="lead"),
        tag("p", name, class_="of") if name else None,
        tag("div", tiles, class_="tiles") if tiles else None,
        tag("div", strip, class_="strip") if strip else None,
    )


def cast(data: ReportData, pictures: Pictures) -> Html:
    if not data.cast:
        return _section("cast", "The cast", _absent(data, "cast"))
    cards = [_member(member, pictures, counted=data.material is not None) for member in data.cast]
    intro = "Who the model knows, by the reference pictures given, with the words that call them in a prompt."
    return _section("cast", "The cast", tag("p", intro, class_="intro"), tag("div", cards, class_="cast"))


def material(data: ReportData, pictures: Pictures) -> Html:
    section = data.material
    if section is None:
        return _section("material", "What was found in the episodes", _absent(data, "material"))
    top = max((c.count for c in section.funnel), default=0)
    funnel = [_bar(c.label, number(c.count), c.count / top if top else 0, c.note) for c in section.funnel]
    dropped = max((c.count for c in section.drops), default=0)
    drops = [_bar(c.label, number(c.count), c.count / dropped, c.note, "muted") for c in section.drops]
    columns = tag(
        "div",
        _panel("What was kept", funnel),
        _panel("What was left out, and why", drops or "Nothing was left out."),
        class_="columns",
    )
    words = "A picture of each shot, with the names that were given; a grey ? is somebody who is nobody of the cast."
    frames = tag("div", [pictures.figure(f, FRAME_PX) for f in section.frames], class_="frames")
    shown = (tag("h3", "Who was found where"), tag("p", words, class_="intro"), frames) if section.frames else None
    return _section("material", "What was found in the episodes", _facts(section.facts), columns, shown)


def mixture(data: ReportData) -> Html:
    section = data.mixture
    if section is None:
        return _section("mixture", "The mixture", _absent(data, "mixture"))
    top = max((max(s.planned, s.delivered) for s in section.shares), default=1) or 1
    delivered = any(s.delivered >= 0 for s in section.shares)
    rows = []
    for share in section.shares:
        bars = [tag("span", class_="planned", style=f"width:{100 * share.planned / top:.2f}%")]
        depth = tag("span", share.name, class_=f"depth{min(share.depth, 3)}")
        words = f"planned {percent(share.planned, 1)}"
        if share.delivered >= 0:
            bars.append(tag("span", class_="delivered", style=f"width:{100 * share.delivered / top:.2f}%"))
            words = f"{percent(share.delivered, 1)} (plan {percent(share.planned, 1)})"
        count = f"{number(share.num_samples)} samples" if share.num_samples else "no samples: its share goes to others"
        label = tag("span", depth, tag("small", count), class_="label", style=f"padding-left:{1.2 * share.depth}em")
        rows.append(
            tag("div", label, tag("span", bars, class_="bars"), tag("span", words, class_="value"), class_="share")
        )
    legend = _legend([("planned", "planned"), *([("delivered", "delivered")] if delivered else [])])
    why = f" ({section.why_never})" if section.why_never else ""
    seen = f"{number(section.never_seen)} samples are never seen{why}." if section.never_seen else ""
    intro = tag("p", "What training was to see how often, and what it saw. ", seen, class_="intro")
    most = max((look.count for look in section.looks), default=0) or 1
    looks = [_bar(c.label, number(c.count), c.count / most, c.note) for c in section.looks]
    panels = (
        tag("div", tag("h3", "By kind of picture"), legend, rows, class_="panel"),
        _panel("How often each look is seen", looks, _small("Visits. A sample counts for everybody in it."))
        if looks
        else None,
    )
    return _section("mixture", "The mixture", intro, _facts(section.facts), tag("div", panels, class_="columns"))


def training(data: ReportData, pictures: Pictures) -> Html:
    section = data.training
    if section is None:
        return _section("training", "Training", _absent(data, "training"))
    charts = []
    if section.probes:
        legend = _legend([(color(i), curve.name) for i, curve in enumerate(section.probes)])
        note = "Loss at one high timestep. A model that listens to its caption does well with the right one only."
        charts.append(_panel("Does it listen?", legend, line_chart(section.probes, "Loss by caption"), _small(note)))
    if section.loss:
        charts.append(_panel("Loss", line_chart([section.loss], "Training loss"), _small("Means over spans of steps.")))
    samples = [pictures.figure(s, PICTURE_PX) for s in section.samples]
    drawn = _panel("Drawn on the way", tag("div", samples, class_="gallery small")) if samples else None
    return _section("training", "Training", _facts(section.facts), tag("div", charts, class_="columns"), drawn)


def gallery(data: ReportData, pictures: Pictures) -> Html:
    if not data.galleries:
        return _section("gallery", "Pictures", _absent(data, "galleries"))
    main = _main_series(data)
    points = {p.num_people: p for p in main.points} if main else {}
    parts: list[Content] = [
        tag(
            "p",
            "The first pictures that were judged, not the best. A name is green where the judge found the character "
            "in the right form, red where not. Boxes show whom it took each figure for.",
            class_="intro",
        )
    ]
    parts += [_gallery(one, points.get(one.num_people), pictures) for one in data.galleries]
    parts += [
        tag(
            "div",
            tag("h3", grid.caption[:1].upper() + grid.caption[1:]),
            tag("div", pictures.figure(_uncaptioned(grid), 1400), class_="wide"),
            class_="panel grids",
        )
        for grid in data.grids
    ]
    return _section("gallery", _titled("One to five characters", data), parts)


def success(data: ReportData) -> Html:
    if not data.success:
        return _section("success", "Success by number of characters", _absent(data, "success"))
    legend = _legend(list(zip(colors_of(data.success), (s.name for s in data.success), strict=True)))
    intro = (
        "A picture succeeds when it holds as many people as asked for, each of them is recognised among the whole cast "
        "as somebody who was asked for, nobody is there twice and nobody is there unasked. One wrong figure fails the "
        "picture. Bars are 95 % intervals."
    )
    main = Exhibits(_main_name(data), (), data.count_confusion, data.identity_confusion)
    tables = [table for one in (main, *data.others) for table in _confusions(one)]
    return _section(
        "success",
        "Success by number of characters",
        tag("p", intro, class_="intro"),
        tag("div", legend, success_chart(data.success), success_table(data.success), class_="panel"),
        tag("div", tables, class_="columns"),
        _small(data.judge) if data.judge else None,
    )


def comparisons(data: ReportData) -> Html:
    intro = "On the same scenes. A difference that could be chance is not called one."
    return _section("comparisons", "Which is better", tag("p", intro, class_="intro"), map(_table, data.comparisons))


def progress(data: ReportData) -> Html:
    intro = "Whole scenes right at each checkpoint of a training, by people asked for."
    legend = _legend([(color(i), curve.name) for i, curve in enumerate(data.progress)])
    chart = line_chart(data.progress, "Success over training steps", WIDE)
    panel = tag("div", legend, chart, class_="panel")
    return _section("progress", "Did the last steps help?", tag("p", intro, class_="intro"), panel)


def measures(data: ReportData) -> Html:
    intro = "Counted from the same verdicts. In brackets 95 % intervals, where not said otherwise."
    return _section("measures", "What else was measured", tag("p", intro, class_="intro"), map(_table, data.measures))


def best_and_worst(data: ReportData, pictures: Pictures) -> Html:
    parts: list[Content] = []
    for title, said, group in (
        ("Best", "Right, and the judge was surest of the least sure figure; most people first.", data.best),
        ("Worst", "Most faults: people missing, too many, or mixed up.", data.worst),
    ):
        if group:
            shown = tag("div", [pictures.figure(s, PICTURE_PX) for s in group], class_="gallery")
            parts.append(tag("div", tag("h3", title, tag("small", said)), shown, class_="count"))
    return _section("extremes", _titled("Best and worst", data), parts)


def failures(data: ReportData, pictures: Pictures) -> Html:
    of_series = [(_main_name(data), data.failures), *((one.name, one.failures) for one in data.others)]
    if not any(groups for _, groups in of_series):
        return _section("failures", "Failures", _absent(data, "failures"))
    intro = tag("p", "What went wrong, most frequent first. One picture may fail in several ways.", class_="intro")
    parts = [
        (
            tag("p", name, class_="of") if name else None,
            [_failure(group, pictures) for group in groups] or tag("p", "No failure was found."),
        )
        for name, groups in of_series
    ]
    return _section("failures", "Failures", intro, parts)


def repairs(data: ReportData, pictures: Pictures) -> Html:
    if not data.repairs:
        return _section("repairs", "Mended by inpainting", _absent(data, "repairs"))
    pairs = [
        tag(
            "div",
            pictures.figure(r.before, PICTURE_PX),
            tag("span", "→", class_="arrow"),
            pictures.figure(r.after, PICTURE_PX),
            class_="pair",
        )
        for r in data.repairs
    ]
    intro = tag("p", "A wrong figure drawn anew; every pixel outside the mask is the same to the bit.", class_="intro")
    return _section("repairs", "Mended by inpainting", intro, tag("div", pairs, class_="pairs"))


def again(data: ReportData) -> Html:
    commands = [
        tag("div", tag("p", c.purpose), tag("pre", tag("code", c.text)), class_="command") for c in data.commands
    ]
    return _section("again", "How to make it again", commands or _absent(data, "commands"))


def footer(data: ReportData, pictures: Pictures) -> Html:
    licence = tag("p", "Licence: ", data.licence) if data.licence else None
    missing = f"{len(pictures.missing)} pictures could not be read: {', '.join(pictures.missing[:3])}"
    return tag("footer", _facts(data.facts), licence, tag("p", missing) if pictures.missing else None)


def _strip(data: ReportData) -> list[Shown]:
    """Six pictures that succeeded, most people first, taking turns between the numbers of people."""
    right = [[s for s in g.pictures if not s.note] for g in reversed(data.galleries)]
    turns = [row[i] for i in range(6) for row in right if i < len(row)]
    return turns[:6] if len(turns) >= 3 else []


def _main_series(data: ReportData) -> Series | None:
    return next((s for s in data.success if s.kind == "main" and s.points), None)


def _main_name(data: ReportData) -> str:
    """Of the series that galleries, failures and tables are of; "" where there is no other."""
    main = _main_series(data)
    return main.name if main and len(data.success) > 1 else ""


def _titled(title: str, data: ReportData) -> str:
    name = _main_name(data)
    return f"{title}: {name}" if name else title


def _confusions(one: Exhibits) -> Iterator[Html]:
    """What was counted for what, and who was taken for whom."""
    title = f": {one.name}" if one.name else ""
    if one.count_confusion:
        note = "Rows: people asked for. Columns: people found."
        yield _panel(f"Counting{title}", confusion(one.count_confusion, sort=True), _small(note))
    if one.identity_confusion:
        note = "Rows: asked for. Columns: what the judge took the figure for. A bright diagonal is what we want."
        yield _panel(f"Who is taken for whom{title}", confusion(one.identity_confusion), _small(note))


def _tile(point: Point) -> Html:
    people = "1 character" if point.num_people == 1 else f"{point.num_people} characters"
    told = f"95 % interval {percent(point.low)} to {percent(point.high)}, {point.num_pictures} pictures"
    meter = [
        tag("i", style=f"width:{100 * point.value:.1f}%") if point.value == point.value else None,
        tag("u", style=f"left:{100 * point.low:.1f}%;width:{100 * (point.high - point.low):.1f}%"),
    ]
    return tag(
        "div",
        tag("b", percent(point.value)),
        tag("span", people),
        tag("div", meter, class_="meter"),
        _small(told),
        class_="tile",
    )


def _member(member: CastMember, pictures: Pictures, counted: bool) -> Html:
    looks = []
    for form in member.forms:
        words = ", ".join(w for w in (member.trigger_word, form.trigger_word) if w)
        faces = [pictures.embed(p, PORTRAIT_PX, f"{member.name} {form.name}") for p in form.portraits]
        times = "once" if form.num_people == 1 else f"{number(form.num_people)} times"
        count = f"{times} in the kept pictures" if form.num_people else "in none of the kept pictures"
        looks.append(
            tag(
                "div",
                tag("div", faces, class_="faces"),
                tag("code", words),
                _small(count) if counted else None,
                class_="look",
            )
        )
    return tag("article", tag("h3", member.name), looks, class_="member")


def _gallery(one: Gallery, point: Point | None, pictures: Pictures) -> Html:
    title = "One character" if one.num_people == 1 else f"{_WORDS.get(one.num_people, one.num_people)} characters"
    said = f"{percent(point.value)} succeed ({percent(point.low)} to {percent(point.high)})" if point else ""
    head = tag("h3", title, tag("small", said))
    return tag(
        "div",
        head,
        tag("div", [pictures.figure(s, PICTURE_PX) for s in one.pictures], class_="gallery"),
        class_="count",
    )


def _failure(group: FailureGroup, pictures: Pictures) -> Html:
    share = f"{group.count} of {group.num_pictures} pictures"
    head = tag("h3", group.text[:1].upper() + group.text[1:], tag("small", share))
    figures = [pictures.figure(s, PICTURE_PX) for s in group.pictures]
    return tag("div", head, tag("div", figures, class_="gallery"), class_="count")


def _table(table: Table) -> Html:
    head = tag("tr", [tag("th", cell) for cell in table.head])
    rows = [tag("tr", tag("th", row[0]), [tag("td", cell) for cell in row[1:]]) for row in table.rows]
    inner = tag("table", tag("thead", head), tag("tbody", rows), class_="figures")
    return _panel(table.title, tag("div", inner, class_="scroll"), _small(table.note) if table.note else None)


def _bar(label: str, value: str, share: float, note: str = "", kind: str = "") -> Html:
    fill = tag("span", tag("i", style=f"width:{100 * share:.2f}%"), class_="bars")
    named = tag("span", label, tag("small", note) if note else None, class_="label")
    return tag("div", named, fill, tag("span", value, class_="value"), class_=f"bar {kind}".strip())


def _panel(title: str, *children: Content) -> Html:
    return tag("div", tag("h3", title), children, class_="panel")


def _legend(entries: Sequence[tuple[str, str]]) -> Html:
    return tag("div", [tag("span", tag("i", class_=kind), name) for kind, name in entries], class_="legend")


def _facts(facts: Sequence[Fact]) -> Html | None:
    if not facts:
        return None
    return tag("dl", [tag("div", tag("dt", f.label), tag("dd", f.value)) for f in facts], class_="facts")


def _small(text: str) -> Html:
    return tag("small", text)


def _absent(data: ReportData, name: str) -> Html:
    return tag("p", data.absent.get(name, "Not there: this step has not been run yet."), class_="absent")


def _section(anchor: str, title: str, *children: Content) -> Html:
    return tag("section", tag("h2", title), children, id=anchor)


def _uncaptioned(shown: Shown) -> Shown:
    return Shown(shown.path, "", shown.labels, shown.badges, shown.note)


_WORDS = {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six", 7: "Seven", 8: "Eight"}
