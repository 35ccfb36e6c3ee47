"""Judged pictures labelled by a person who is not told the verdicts: a sheet to fill in, and how far the two agree.

The judge's errors on true pictures (`judge --known-right`, `make check-judge-1`) say nothing of half-drawn faces, which
is what models make; only eyes can. What the judge said lies beside the sheet in a table, for `agree`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image as Pillow

from fullcast.journey.answers import Answer
from fullcast.journey.judged import PAGE
from fullcast.judging.blind import LABELS, Agreement, Label, agreement, draw_blind, kappa, success_by_person
from fullcast.judging.judgement import ROWS
from fullcast.judging.page.html import Html, tag
from fullcast.judging.rows import Row, read_rows, write_rows
from fullcast.judging.statistics import Estimate
from fullcast.store.atomic import write_json, write_text
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.pictures import read_picture
from fullcast.store.tables import read_metadata

if TYPE_CHECKING:
    from fullcast.journey import Journey

SHEET, VERDICTS, AGREED = "blind.html", "not-for-the-labeller.parquet", "agreement.json"
"""The sheet, what the judge said of its pictures in their order, and what `agree` found."""

PICTURE_PX, FACE_PX = 480, 160


def make_sheet(journey: Journey, count: int, series: str, judged: Path | None, out: Path | None, seed: int) -> Answer:
    """Pictures of the judgement in `judged` (None: the last one), or of one `series` of it, in an order that tells
    nothing."""
    from fullcast.generation.out import folder_to_write

    if count < 1:
        raise FullcastError(f"--count {count}: ask for at least one picture")
    table = (judged or journey.workspace.judging_dir / PAGE) / ROWS
    if not table.exists():
        raise FullcastError(f"there are no judged pictures in {table.parent} yet; run: fullcast judge")
    rows = _of_series(read_rows(table), series)
    chosen = draw_blind(rows, count, seed)
    folder = folder_to_write(out or sheet_dir(journey))
    told = {"pictures": str(len(rows)), "judged_right": str(sum(row.verdict.success for row in rows))}
    write_rows(folder / VERDICTS, chosen, {**read_metadata(table), **told})
    write_text(folder / SHEET, _page(journey, chosen))
    lines = [
        f"{len(chosen)} of {len(rows)} judged pictures: {folder / SHEET}",
        f"what the judge said of them lies in {VERDICTS}; look at it afterwards",
        f"then: fullcast blind agree labels.json --sheet {folder}",
    ]
    return Answer("\n".join(lines), {"sheet": str(folder / SHEET), "pictures": len(chosen)})


def _of_series(rows: Sequence[Row], wanted: str) -> list[Row]:
    names = list(dict.fromkeys(row.series for row in rows))
    if wanted and wanted not in names:
        raise FullcastError(f"there is no series {wanted!r}; judged last were: {'; '.join(names)}")
    return [row for row in rows if wanted in ("", row.series)]


def _page(journey: Journey, rows: Sequence[Row]) -> str:
    """Each picture with whom it was asked for, heads of the cast above, and three buttons."""
    from fullcast.journey.sheet import page, portraits
    from fullcast.recognition.castfile import read_cast

    cast = read_cast(journey.workspace.show_dir / "cast.json")
    looks = [f"{c.name}/{f.name}" if f.name else c.name for c in cast.characters for f in c.forms]
    intro = (
        "Is everybody there who was asked for, each once, and nobody else? Somebody badly drawn is right as long as "
        "you would know who it is, and not somebody else of the cast. Places do not matter. Then save the file and "
        "run: fullcast blind agree labels.json"
    )
    cards = [_card(number, row, journey.workspace.root) for number, row in enumerate(rows, 1)]
    faces = portraits(journey.workspace, looks, FACE_PX)
    return page(f"Blind: {journey.workspace.show}", intro, faces, cards, {}, SCRIPT, FACE_PX)


def _card(number: int, row: Row, root: Path) -> Html:
    asked = ", ".join("/".join(filter(None, (p.character, p.form))) for p in row.scene.people)
    buttons = [tag("button", label, type="button", data_do=label) for label in LABELS]
    return tag(
        "article",
        tag("header", tag("b", str(number)), tag("span", asked, class_="name")),
        tag("div", _picture(root / row.path), class_="crops"),
        tag("div", buttons, class_="answer"),
        data_item=str(number),
    )


def _picture(path: Path) -> Html:
    from fullcast.journey.sheet import data_uri

    try:
        picture = Pillow.fromarray(read_picture(path))
    except UnreadableFile:
        return tag("span", "file missing", class_="missing")
    height = round(PICTURE_PX * picture.height / picture.width)
    return tag("img", src=data_uri(picture.resize((PICTURE_PX, height), Pillow.Resampling.LANCZOS)), alt="")


def sheet_dir(journey: Journey) -> Path:
    """Where the sheet lies if nobody said otherwise."""
    return journey.workspace.judging_dir / "blind"


def agree(files: Sequence[Path], folder: Path) -> Answer:
    """Each person's labels against the judge of the sheet in `folder`, and persons against each other."""
    if not files:
        raise FullcastError("no labels were given; wanted is fullcast blind agree labels.json, as its page saved it")
    table = folder / VERDICTS
    if not table.exists():
        raise FullcastError(f"{folder} holds no sheet; make one: fullcast blind sheet")
    rows = dict(enumerate(read_rows(table), 1))
    about = read_metadata(table)
    labels = {path.stem if len(files) > 1 else "labels": _read_labels(path, rows) for path in files}
    if len(labels) < len(files):
        raise FullcastError("two files have the same name; give each person's its own, as in anna.json ben.json")
    lines: list[str] = []
    data: dict[str, Any] = {"pictures": len(rows), "persons": {}, "kappa": {}}
    for name, told in labels.items():
        found = agreement(rows, told)
        judged, num_pictures = int(about["judged_right"]), int(about["pictures"])
        by_person = success_by_person(rows, told, judged / num_pictures, num_pictures)
        lines += _told(name, found, by_person, judged, num_pictures)
        data["persons"][name] = asdict(found) | {"judged_right": judged / num_pictures, "by_person": asdict(by_person)}
    for a, b in combinations(labels, 2):
        both = [n for n in labels[a] if n in labels[b] and "unclear" not in (labels[a][n], labels[b][n])]
        value = kappa([labels[a][n] == "right" for n in both], [labels[b][n] == "right" for n in both])
        data["kappa"][f"{a}, {b}"] = value
        lines.append(f"{a} and {b}: kappa {value:.2f} over {len(both)} pictures")
    write_json(folder / AGREED, data)
    return Answer("\n".join(lines), data)


def _told(name: str, found: Agreement, by_person: Estimate, judged: int, num_pictures: int) -> list[str]:
    def said(what: Estimate) -> str:
        return f"{what.value:.2f} ({what.low:.2f} to {what.high:.2f}, {what.n} pictures)"

    lines = [
        f"{name}: {found.num_labels} pictures, {found.num_unclear} of them unclear",
        f"  called right by the judge, and by eye: {said(found.called_right)}",
        f"  called wrong by the judge, and by eye: {said(found.called_wrong)}",
        f"  agreement {said(found.same)}, kappa {found.kappa:.2f}",
        f"  of all {num_pictures} pictures the judge calls {judged / num_pictures:.2f} right, by eye it would be "
        f"{by_person.value:.2f} ({by_person.low:.2f} to {by_person.high:.2f})",
    ]
    if found.disagreed:
        lines.append(f"  look again at: {', '.join(map(str, found.disagreed))}")
    return lines


def _read_labels(path: Path, rows: dict[int, Row]) -> dict[int, Label]:
    """{"1": "right", ...} as the page saves it."""
    wanted = f'wanted is {{"1": "right", "2": "wrong", ...}}, of {", ".join(LABELS)}, as blind.html saves it'
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        labels = {int(number): label for number, label in data.items()}
    except OSError as error:
        raise FullcastError(f"{path} cannot be read ({error.strerror}); {wanted}") from None
    except (ValueError, AttributeError, TypeError):
        raise FullcastError(f"{path} holds no labels; {wanted}") from None
    if wrong := [label for label in labels.values() if label not in LABELS]:
        raise FullcastError(f"{path} says {wrong[0]!r}; {wanted}")
    if strangers := [number for number in labels if number not in rows]:
        raise FullcastError(f"{path} speaks of picture {strangers[0]}, and the sheet has 1 to {len(rows)}")
    if not labels:
        raise FullcastError(f"{path} holds no labels; {wanted}")
    return labels


SCRIPT = """
const answers = new Map();
for (const card of document.querySelectorAll("article")) {
  const number = card.dataset.item, buttons = card.querySelectorAll("button");
  for (const b of buttons) b.onclick = () => {
    const off = b.getAttribute("aria-pressed") === "true";
    if (off) answers.delete(number); else answers.set(number, b.dataset.do);
    for (const other of buttons) other.setAttribute("aria-pressed", other === b && !off);
    card.classList.toggle("done", answers.has(number));
    document.getElementById("count").textContent = answers.size + " answers";
  };
}
document.getElementById("save").onclick = () => {
  const text = JSON.stringify(Object.fromEntries(answers), null, 1), link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  link.download = "labels.json";
  link.click();
};
"""
