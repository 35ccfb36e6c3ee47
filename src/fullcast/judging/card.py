"""The model card, as a person would publish it: what the seed's card told, and the figures that it could not give."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from fullcast.judging.measure_tables import as_markdown
from fullcast.judging.report_data import CastMember, Fact, Point, ReportData, Series, Shown
from fullcast.judging.sheets import contact_sheet
from fullcast.store.atomic import replacing_dir, write_text
from fullcast.store.pictures import write_png

IMAGES = "images"
REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")

WHOLE = "The checkpoint is a plain diffusers folder: `DiffusionPipeline.from_pretrained(folder)` opens it."
LORA_ALONE = (
    "The checkpoint holds a LoRA and not the model that it was trained on: `DiffusionPipeline.from_pretrained(base)` "
    "opens that one, and `load_lora_weights(folder)` on it adds the LoRA. `fullcast export checkpoint FOLDER` writes "
    "both as one model."
)

KNOWN_LICENCES = frozenset(
    [
        "apache-2.0",
        "mit",
        "cc-by-4.0",
        "cc-by-sa-4.0",
        "cc0-1.0",
        "creativeml-openrail-m",
        "openrail",
        "openrail++",
        "cc-by-nc-4.0",
    ]
)
"""What the Hub takes in `license:`; any other is `other` with a name."""


def write_card(data: ReportData, path: Path, root: Path) -> Path:
    """Write the card to ``path`` and its pictures (contact sheets) to ``images`` beside it; returns ``path``.

    ``root``: the folder that the pictures' paths in ``data`` are relative to. The card's folder can be uploaded.
    """
    images = path.parent / IMAGES
    with replacing_dir(images) as folder:
        sheets = Sheets(folder, root)
        parts = [
            front_matter(data),
            _opening(data, sheets),
            _characters(data, sheets),
            _dataset(data),
            _training(data),
            _results(data),
            _scenes(data, sheets),
            _failures(data, sheets),
            _use(data),
            _licence(data),
        ]
    if not any(images.iterdir()):
        images.rmdir()
    write_text(path, "\n\n".join(part for part in parts if part) + "\n")
    return path


class Sheets:
    """Writes contact sheets into the card's folder and gives the Markdown that shows them."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder, root

    def show(self, name: str, shown: Sequence[Shown], alt: str, columns: int = 4, cell_px: int = 320) -> str:
        """'' when there is no picture to show."""
        sheet = contact_sheet(shown, self.root, columns, cell_px)
        if sheet is None:
            return ""
        write_png(self.folder / f"{name}.png", sheet)
        return f"![{alt}]({IMAGES}/{name}.png)"


def front_matter(data: ReportData) -> str:
    """The YAML that the Hub reads; every string is quoted as JSON, which YAML takes."""
    licence = data.licence.strip()
    lines = ["---"]
    if licence.lower() in KNOWN_LICENCES:
        lines.append(f"license: {licence.lower()}")
    else:
        lines += ["license: other", f"license_name: {json.dumps(licence or 'not stated', ensure_ascii=False)}"]
    lines += ["library_name: diffusers", "pipeline_tag: text-to-image"]
    if REPOSITORY.fullmatch(data.base_model):  # the Hub takes nothing else
        lines.append(f"base_model: {json.dumps(data.base_model, ensure_ascii=False)}")
    lines += [
        "tags:",
        *(f"- {tag}" for tag in ("stable-diffusion", "text-to-image", "multi-character", "fullcast")),
        "---",
    ]
    return "\n".join(lines)


def _opening(data: ReportData, sheets: Sheets) -> str:
    lines = [f"# {data.show}", f"A model of {_count_cast(data.cast)}, made to draw several of them in one picture."]
    main = _series(data, "main")
    if main and main.points and not any(point.value > 0 for point in main.points):
        judged = sum(point.num_pictures for point in main.points)
        lines.append(f"**It does not do that yet: none of {judged} judged pictures is right.**")
    elif main and main.points:
        ends = dict.fromkeys((main.points[0], main.points[-1]))
        told = [f"{_percent_of(point)} of pictures of {_characters_of(point.num_people)}" for point in ends]
        right = " are right, and ".join(told) + (" are right" if len(told) == 1 else "")
        asked = main.name[:1].lower() + main.name[1:]
        lines.append(f"With {asked}, {right}. A wrong character can be drawn anew by inpainting.")
    best = [s for gallery in reversed(data.galleries) for s in gallery.pictures if not s.note][:2]
    shown = sheets.show("examples", best, "Two pictures as they came", columns=2, cell_px=480)
    if shown:
        lines += ["Without inpainting:", shown]
    if data.repairs:
        pair = (data.repairs[0].before, data.repairs[0].after)
        lines += ["Before and after inpainting:", sheets.show("repaired", pair, "Before and after", 2, 480)]
    return "\n\n".join(lines)


def _characters(data: ReportData, sheets: Sheets) -> str:
    if not data.cast:
        return ""
    rows = ["| character | look | trigger words | people in the dataset |", "|---|---|---|---|"]
    portraits = []
    none = "–" if data.material is None else "none"
    for member in data.cast:
        for form in member.forms:
            words = ", ".join(w for w in (member.trigger_word, form.trigger_word) if w)
            rows.append(
                f"| {_cell(member.name)} | {_cell(form.name) or 'plain'} | `{words}` | {form.num_people or none} |"
            )
            portraits += [Shown(path, f"{member.name} {form.name}".strip()) for path in form.portraits[:1]]
    shown = sheets.show("characters", portraits, "The cast, one reference picture each", columns=5, cell_px=160)
    grids = [sheets.show(f"grid-{i + 1}", [grid], grid.caption or "grid", 1, 1200) for i, grid in enumerate(data.grids)]
    return "\n\n".join(part for part in ("## Characters", "\n".join(rows), shown, *grids) if part)


def _dataset(data: ReportData) -> str:
    parts = ["## Dataset"]
    if data.material:
        parts.append(_facts(data.material.facts))
        parts.append(_counted("What was kept:", [(c.label, c.count) for c in data.material.funnel]))
        parts.append(_counted("What was left out:", [(c.label, c.count) for c in data.material.drops]))
    else:
        parts.append(data.absent.get("material", "The dataset's figures are not known."))
    if data.mixture and data.mixture.shares:
        rows = ["| part | samples | share planned | share delivered |", "|---|---|---|---|"]
        for share in data.mixture.shares:
            indent = "&nbsp;&nbsp;" * share.depth
            delivered = f"{share.delivered:.1%}" if share.delivered >= 0 else "–"
            rows.append(
                f"| {indent}{_cell(share.name)} | {share.num_samples or '–'} | {share.planned:.1%} | {delivered} |"
            )
        known = any(share.delivered >= 0 for share in data.mixture.shares)
        told = "and was delivered as follows:" if known else "and no training of this plan is finished:"
        parts += [f"The mixture is weighted, {told}", "\n".join(rows)]
    return "\n\n".join(part for part in parts if part)


def _training(data: ReportData) -> str:
    parts = ["## Training", f"Base model: {data.base_model}." if data.base_model else ""]
    if data.training:
        parts.append(_facts(data.training.facts))
        for probe in data.training.probes:
            if probe.values:
                parts.append(
                    f"- loss with the {probe.name}: {probe.values[0]:.2f} at first, {probe.values[-1]:.2f} at last"
                )
    else:
        parts.append(data.absent.get("training", "Nothing was trained."))
    parts.append(f"Cost: {data.cost}." if data.cost else "")
    return _join_lists(parts)


def _results(data: ReportData) -> str:
    if not data.success:
        return "## Results\n\n" + data.absent.get("success", "Nothing was judged.")
    numbers = sorted({p.num_people for s in data.success for p in s.points})
    head = "| whole scenes right, people asked for | " + " | ".join(str(n) for n in numbers) + " | pictures each |"
    rows = [head, "|---|" + "---|" * (len(numbers) + 1)]
    for series in data.success:
        points = {p.num_people: p for p in series.points}
        cells = [_interval(points[n]) if n in points else "–" for n in numbers]
        each = sorted({p.num_pictures for p in series.points})
        rows.append(
            f"| {_cell(series.name)} | {' | '.join(cells)} | {' to '.join(map(str, each[:: max(1, len(each) - 1)]))} |"
        )
    rule = (
        "A picture is right when it holds as many people as asked for, each is recognised over the whole cast as "
        "somebody who was asked for, in the form that was asked for, nobody is there twice and nobody unasked. In "
        "brackets: 95 % intervals."
    )
    tables = as_markdown([*data.comparisons, *data.measures])
    return "\n\n".join(part for part in ("## Results", "\n".join(rows), rule, data.judge, tables) if part)


def results_markdown(data: ReportData) -> str:
    """The results alone, for a card of one's own."""
    return _results(data) + "\n"


def _scenes(data: ReportData, sheets: Sheets) -> str:
    parts = ["## Scenes without inpainting", "The first pictures of each kind that were judged, not the best."]
    for gallery in data.galleries:
        people = "1 character" if gallery.num_people == 1 else f"{gallery.num_people} characters"
        shown = sheets.show(f"scenes-{gallery.num_people}", gallery.pictures[:8], people)
        parts += [f"### {people.capitalize()}", shown] if shown else []
    if not data.galleries:
        parts = [parts[0], data.absent.get("galleries", "No pictures were drawn.")]
    parts.append("## Scenes with inpainting")
    repaired = [shown for repair in data.repairs for shown in (repair.before, repair.after)]
    told = data.absent.get("repairs", "None were made: `fullcast inpaint` draws a wrong character anew.")
    parts.append(sheets.show("inpainting", repaired, "Pairs: before, after", columns=4) or told)
    return "\n\n".join(parts)


def _failures(data: ReportData, sheets: Sheets) -> str:
    if not data.failures:
        return "## Failures\n\n" + data.absent.get(
            "failures", "No failure was found; see how many pictures were judged."
        )
    lines = [f"- {group.text}: {group.count} of {group.num_pictures} pictures" for group in data.failures]
    pictures = list({s.path: s for group in data.failures for s in group.pictures}.values())[:12]
    shown = sheets.show("failures", pictures, "Pictures that failed, with what is wrong")
    intro = "What goes wrong, most frequent first; one picture may fail in several ways."
    return "\n\n".join(part for part in ("## Failures", intro, "\n".join(lines), shown) if part)


def _use(data: ReportData) -> str:
    if not data.commands:
        return ""
    blocks = [f"{command.purpose}:\n\n```sh\n{command.text}\n```" for command in data.commands]
    opened = LORA_ALONE if data.lora_alone else WHOLE
    return "\n\n".join(("## How to use it and make it again", opened, *blocks))


def _licence(data: ReportData) -> str:
    lines = [data.licence or "Not stated: ask before you use it."]
    own = sorted({f"{member.name}: {member.licence}" for member in data.cast if member.licence})
    return "\n\n".join(["## Licence", *lines, *(f"- {line}" for line in own)])


def _series(data: ReportData, kind: str) -> Series | None:
    return next((series for series in data.success if series.kind == kind), None)


def _count_cast(cast: Sequence[CastMember]) -> str:
    forms = sum(len(member.forms) for member in cast)
    looks = f" in {forms} looks" if forms > len(cast) else ""
    return f"{_characters_of(len(cast))}{looks}"


def _characters_of(number: int) -> str:
    return "one character" if number == 1 else f"{number} characters"


def _percent_of(point: Point) -> str:
    return f"{point.value:.0%}"


def _interval(point: Point) -> str:
    return f"**{point.value:.0%}** ({point.low:.0%} – {point.high:.0%})"


def _facts(facts: Sequence[Fact]) -> str:
    return "\n".join(f"- {fact.label}: {fact.value}" for fact in facts)


def _counted(title: str, rows: Sequence[tuple[str, int]]) -> str:
    return "\n".join([title, "", *(f"- {label}: {count:,}" for label, count in rows)]) if rows else ""


def _join_lists(parts: Sequence[str]) -> str:
    """Paragraphs apart; list lines that follow each other together."""
    return re.sub(r"(?m)(^- .*)\n\n(?=- )", r"\1\n", "\n\n".join(part for part in parts if part))


def _cell(text: str) -> str:
    """Text that does not break a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")
