"""The contact sheet of a review: one HTML file with its pictures inside, filled in by clicks, saved by its button.

Works without a server: the button saves a file of decisions, which `fullcast review apply` takes.
"""

from __future__ import annotations

import base64
import io
import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw
from pydantic import TypeAdapter

from fullcast.journey.deciding import question_of
from fullcast.journey.preparing import Prepared
from fullcast.journey.references import References
from fullcast.judging.page.html import Html, tag
from fullcast.records import UNKNOWN, Box, Image, Person
from fullcast.store.atomic import write_text
from fullcast.store.decisions import Decision, target_of
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import read_picture
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.journey.doubting import Item

CROPS = 3
"""Pictures of one track: the most doubtful ones."""

CROP_PX, WIDE_PX = 112, 360
OPEN_PICTURES = 8
"""Decoded pictures that are held: items of one shot stand apart, 8 of 1280x720 are 22 MB."""


class Crops:
    """Cuts figures out of a workspace's pictures and gives them as data URIs."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._open: OrderedDict[str, np.ndarray | None] = OrderedDict()

    def figure(self, image: Image, person: Person) -> str:
        """A square around head and chest, the figure's box drawn in; '' when the file cannot be read."""
        head = person.head_xyxy or person.xyxy
        side = 2.6 * max(head[2] - head[0], head[3] - head[1]) if person.head_xyxy else 1.1 * (head[3] - head[1])
        x, y = (head[0] + head[2]) / 2, (head[1] + head[3]) / 2 + (0.4 * (head[3] - head[1]) if person.head_xyxy else 0)
        area = (x - side / 2, y - side / 2, x + side / 2, y + side / 2)
        return self._uri(image, area, [(person.xyxy, "#e8590c")], CROP_PX)

    def whole(self, image: Image, people: Sequence[Person]) -> str:
        area = (0.0, 0.0, float(image.width), float(image.height))
        return self._uri(image, area, [(p.xyxy, "#e8590c") for p in people], WIDE_PX)

    def _uri(self, image: Image, area: Box, boxes: Sequence[tuple[Box, str]], side_px: int) -> str:
        picture = self._picture(image.path)
        if picture is None:
            return ""
        scale = side_px / max(area[2] - area[0], area[3] - area[1])
        size = (max(1, round((area[2] - area[0]) * scale)), max(1, round((area[3] - area[1]) * scale)))
        small = Pillow.fromarray(picture).transform(size, Pillow.Transform.EXTENT, area, Pillow.Resampling.BILINEAR)
        draw = ImageDraw.Draw(small)
        for box, colour in boxes:
            corners = [(v - area[i % 2]) * scale for i, v in enumerate(box)]
            draw.rectangle(corners, outline=colour, width=2)
        return data_uri(small)

    def _picture(self, path: str) -> np.ndarray | None:
        if path not in self._open:
            try:
                self._open[path] = read_picture(self.workspace.absolute(path))
            except UnreadableFile:
                self._open[path] = None
            if len(self._open) > OPEN_PICTURES:
                self._open.popitem(last=False)
        return self._open[path]


def data_uri(picture: Pillow.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def portraits(workspace: Workspace, names: Sequence[str], side_px: int = 72) -> dict[str, str]:
    """Look ("aoi/hairdown") -> its first reference picture as a data URI, where there is one."""
    found: dict[str, str] = {}
    for path, character, form in References(workspace).named():
        name = "/".join(filter(None, (character, form)))
        if name not in names or name in found:
            continue
        try:
            picture = Pillow.fromarray(read_picture(path))
        except UnreadableFile:
            continue
        picture.thumbnail((side_px, side_px))
        found[name] = data_uri(picture)
    return found


def looks_of(ready: Prepared) -> list[str]:
    """Every name that can be given, `unknown` last."""
    return [*(f"{c.name}/{f.name}" if f.name else c.name for c in ready.cast.characters for f in c.forms), UNKNOWN]


def write_review_page(path: Path, workspace: Workspace, ready: Prepared, items: Sequence[Item], total: int) -> None:
    """The sheet of these items; ``total``: how many there are in all."""
    images = {image.id: image for image in ready.images}
    people = {person.id: person for person in ready.people}
    crops, looks = Crops(workspace), looks_of(ready)
    cards = [_card(item, images, people, crops, looks) for item in items]
    data = {str(item.number): _templates(item, images, people) for item in items}
    intro = (
        f"{len(items)} of {total} tracks, figures and pictures, most doubtful first. Click what is right; what is left "
        "alone decides nothing. Then save the file and run: fullcast review apply decisions.json"
    )
    write_text(path, page(f"Review: {workspace.show}", intro, portraits(workspace, looks), cards, data, REVIEW_SCRIPT))


def _card(item: Item, images: dict[str, Image], people: dict[str, Person], crops: Crops, looks: Sequence[str]) -> Html:
    members = [people[i] for i in item.people if i in people]
    if item.scope == "picture":
        image = images[item.pictures[0]]
        here = members or [p for p in people.values() if p.image_id == image.id]
        shown = [_img(crops.whole(image, here), _where(image))]
    else:
        shown = [_img(crops.figure(images[p.image_id], p), _where(images[p.image_id])) for p in members[:CROPS]]
    options = [tag("option", "(no word)", value="")]
    if item.scope != "picture":
        options += [tag("option", look, value=look) for look in looks]
    more = f" · {len(members)} frames" if item.scope == "track" else ""
    choose = tag("select", options, aria_label="another name") if item.scope != "picture" else None
    buttons = [
        tag("button", "right", type="button", data_do="keep"),
        tag("button", "drop", type="button", data_do="drop"),
    ]
    return tag(
        "article",
        tag("header", tag("b", f"{item.number}"), tag("span", item.name, class_="name"), f"{item.doubt:.2f}", more),
        tag("div", shown, class_="crops"),
        tag("p", item.reason, class_="why"),
        tag("div", buttons, choose, class_="answer"),
        data_item=str(item.number),
    )


def _img(uri: str, title: str) -> Html:
    return tag("img", src=uri, alt=title, title=title) if uri else tag("span", "file missing", class_="missing")


def _where(image: Image) -> str:
    """ "12:34" of a frame, the file's name of other pictures."""
    if image.time_s < 0:
        return image.path.rsplit("/", 1)[-1]
    return f"{int(image.time_s) // 60}:{int(image.time_s) % 60:02d} · {image.id[:8]}"


def _templates(item: Item, images: dict[str, Image], people: dict[str, Person]) -> dict[str, Any]:
    """Decisions as the page saves them: what is right as it is, and what a name or a drop is said of."""
    if item.scope == "picture":
        image = images[item.pictures[0]]
        keep = [Decision("keep", (target_of(image),), "picture", answers=question_of(image))]
        drop = [Decision("drop", (target_of(image),), "picture")]
    else:
        members = [people[i] for i in item.people if i in people]
        by_name: dict[tuple[str, str], list[Person]] = {}
        for person in members:
            by_name.setdefault((person.character or UNKNOWN, person.form), []).append(person)
        drop = [Decision("drop", tuple(target_of(images[p.image_id], p) for p in members), item.scope)]
        keep = [
            Decision("keep", tuple(target_of(images[p.image_id], p) for p in group), item.scope, *name)
            for name, group in by_name.items()
        ]
    plain = TypeAdapter(list[Decision])
    return {
        "keep": plain.dump_python(keep, mode="json", exclude_defaults=True),
        "drop": plain.dump_python(drop, mode="json", exclude_defaults=True),
    }


def page(
    title: str,
    intro: str,
    faces: dict[str, str],
    cards: Sequence[Html],
    data: dict[str, Any],
    script: str,
    face_px: int = 72,
) -> str:
    """A whole document: heads of the cast, cards, a bar with the button that saves."""
    cast = [tag("figure", tag("img", src=uri, alt=name), tag("figcaption", name)) for name, uri in faces.items()]
    payload = json.dumps(data, ensure_ascii=False).replace("</", "<\\/")
    body = tag(
        "body",
        tag("h1", title),
        tag("p", intro),
        tag("div", cast, class_="cast", style=f"--face: {face_px}px"),
        tag("main", cards),
        tag(
            "div",
            tag("span", "0 answers", id="count"),
            tag("button", "Save the file", type="button", id="save"),
            class_="bar",
        ),
        tag("script", Html(payload), id="data", type="application/json"),
        tag("script", Html(script)),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


STYLE = """
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 0 auto; padding: 1rem 1rem 5rem; max-width: 1500px; }
h1 { font-size: 1.3rem; margin: 0 0 .3rem; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(360px, 1fr)); gap: .8rem; }
article { border: 1px solid #8885; border-radius: 8px; padding: .6rem; }
article.done { border-color: #2f9e44; box-shadow: inset 4px 0 #2f9e44; }
article.dropped { border-color: #e03131; box-shadow: inset 4px 0 #e03131; }
header { display: flex; gap: .6rem; align-items: baseline; font-variant-numeric: tabular-nums; }
.name { font-weight: 600; flex: 1; overflow-wrap: anywhere; }
.crops { display: flex; gap: .3rem; margin: .4rem 0; flex-wrap: wrap; min-height: 60px; }
.crops img { border-radius: 4px; max-width: 100%; }
.why { margin: 0 0 .4rem; color: #888; font-size: .85rem; }
.answer { display: flex; gap: .4rem; flex-wrap: wrap; }
button, select, input { font: inherit; padding: .2rem .6rem; }
button[aria-pressed=true] { outline: 2px solid #2f9e44; }
.cast { display: flex; gap: .5rem; flex-wrap: wrap; margin: .5rem 0 1rem; }
.cast figure { margin: 0; text-align: center; font-size: .75rem; }
.cast img { width: var(--face); height: var(--face); object-fit: cover; border-radius: 6px; display: block; }
.missing { color: #888; font-style: italic; }
.bar { position: fixed; inset: auto 0 0 0; padding: .6rem 1rem; display: flex; gap: 1rem; align-items: center;
  justify-content: flex-end; background: Canvas; border-top: 1px solid #8885; }
"""

REVIEW_SCRIPT = """
const data = JSON.parse(document.getElementById("data").textContent), answers = new Map();
function told(number, button, name) {
  if (name) {
    const [character, form = ""] = name.split("/");
    return data[number].drop.map(d => ({...d, action: "relabel", character, form}));
  }
  return button ? data[number][button] : null;
}
for (const card of document.querySelectorAll("article")) {
  const number = card.dataset.item, select = card.querySelector("select");
  const set = (button, name) => {
    const said = told(number, button, name);
    if (said) answers.set(number, said); else answers.delete(number);
    for (const b of card.querySelectorAll("button")) b.setAttribute("aria-pressed", b.dataset.do === button);
    if (select && !name) select.value = "";
    card.classList.toggle("done", !!said && button !== "drop");
    card.classList.toggle("dropped", button === "drop");
    document.getElementById("count").textContent = answers.size + " answers";
  };
  for (const b of card.querySelectorAll("button"))
    b.onclick = () => set(b.getAttribute("aria-pressed") === "true" ? null : b.dataset.do, "");
  if (select) select.onchange = () => set(null, select.value);
}
document.getElementById("save").onclick = () => {
  const text = JSON.stringify([...answers.values()].flat(), null, 1), link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  link.download = "decisions.json";
  link.click();
};
"""
