"""The contact sheet on which a person labels a gold sample: whole pictures, our boxes without our names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from fullcast.audit.gold import NOBODY, Row
from fullcast.journey.preparing import Prepared
from fullcast.journey.sheet import data_uri, looks_of, page, portraits
from fullcast.judging.page.html import Html, tag
from fullcast.records import Box, Image
from fullcast.store.atomic import write_text
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import read_picture
from fullcast.store.workspace import Workspace

WIDTH_PX = 720
"""Of a shown picture: a head of 60 px in 720p is still 34 px."""


def write_gold_page(path: Path, workspace: Workspace, ready: Prepared, rows: Sequence[Row]) -> None:
    """One card for each picture of the sample, with what was answered already."""
    images = {image.id: image for image in ready.images}
    by_picture: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_picture[row.picture].append(row)
    looks = [*looks_of(ready), NOBODY]
    cards = [_card(images[picture], group, looks, workspace) for picture, group in by_picture.items()]
    data: dict[str, Any] = {
        picture: {
            "width": images[picture].width,
            "rows": [{"box": row.box, "found": row.found, "name": row.name} for row in group],
        }
        for picture, group in by_picture.items()
    }
    data["looks"] = looks
    intro = (
        f"{len(by_picture)} pictures. Say of every box who it is ({NOBODY}: no person is in it), draw a box around "
        "everybody who has none, then tick the picture as looked through. The names that were given are not shown, so "
        "that they sway nobody. Save the file over gold/labels.csv and run: fullcast audit gold"
    )
    text = page(f"Gold sample: {workspace.show}", intro, portraits(workspace, looks), cards, data, GOLD_SCRIPT)
    write_text(path, text.replace("</style>", GOLD_STYLE + "</style>", 1))


def _card(image: Image, rows: Sequence[Row], looks: Sequence[str], workspace: Workspace) -> Html:
    figures = [row for row in rows if row.found != "done"]
    done = any(row.found == "done" and row.name for row in rows)
    selects = []
    for number, row in enumerate(figures, 1):
        options = [tag("option", "?", value="")]
        options += [tag("option", look, value=look, selected="" if look == row.name else None) for look in looks]
        selects.append(tag("label", f"{number} ", tag("select", options, data_row=str(number - 1))))
    tick = tag("input", type="checkbox", class_="done", checked="" if done else None)
    boxes = [_rect(row.box, number) for number, row in enumerate(figures, 1) if row.box]
    overlay = tag("svg", boxes, viewBox=f"0 0 {image.width} {image.height}")
    return tag(
        "article",
        tag("div", _picture(image, workspace), overlay, class_="whole"),
        tag("div", selects, class_="answer"),
        tag("label", tick, " looked through"),
        data_picture=image.id,
    )


def _rect(box: Box, number: int) -> Html:
    x0, y0, x1, y1 = box
    rect = tag("rect", x=f"{x0:g}", y=f"{y0:g}", width=f"{x1 - x0:g}", height=f"{y1 - y0:g}")
    return Html(rect + tag("text", str(number), x=f"{x0 + 6:g}", y=f"{y0 + 34:g}"))


def _picture(image: Image, workspace: Workspace) -> Html:
    try:
        picture = Pillow.fromarray(read_picture(workspace.absolute(image.path)))
    except UnreadableFile:
        return tag("span", "file missing", class_="missing")
    picture.thumbnail((WIDTH_PX, WIDTH_PX))
    return tag("img", src=data_uri(picture), alt=image.id, draggable="false")


GOLD_STYLE = """
main { grid-template-columns: repeat(auto-fill, minmax(min(100%, 560px), 1fr)); }
.whole { position: relative; cursor: crosshair; }
.whole img { width: 100%; display: block; border-radius: 4px; user-select: none; }
.whole svg { position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none; }
.whole rect { fill: none; stroke: #e8590c; stroke-width: 3; }
.whole rect.own { stroke: #1c7ed6; }
.whole text { font: bold 34px system-ui; fill: #fff; stroke: #000; stroke-width: 5px; paint-order: stroke; }
.answer { margin: .4rem 0; }
"""

GOLD_SCRIPT = """
const data = JSON.parse(document.getElementById("data").textContent), looks = data.looks;
delete data.looks;
const svg = (name, values) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
  return made;
};
const count = () => document.getElementById("count").textContent =
  document.querySelectorAll("article.done").length + " pictures done";
for (const card of document.querySelectorAll("article")) {
  const own = data[card.dataset.picture], whole = card.querySelector(".whole"), over = card.querySelector("svg");
  const figures = own.rows.filter(r => r.found !== "done"), tick = card.querySelector(".done");
  const answer = card.querySelector(".answer");
  const mark = () => { card.classList.toggle("done", tick.checked && figures.every(f => f.name)); count(); };
  const bind = (select, figure) => select.onchange = () => { figure.name = select.value; mark(); };
  card.querySelectorAll("select").forEach((s, i) => bind(s, figures[i]));
  tick.onchange = mark;
  own.figures = figures;
  own.tick = tick;
  const at = event => {
    const area = whole.getBoundingClientRect(), scale = own.width / area.width;
    return [(event.clientX - area.left) * scale, (event.clientY - area.top) * scale];
  };
  whole.onpointerdown = event => {
    const [x, y] = at(event), rect = svg("rect", {x, y, width: 0, height: 0, class: "own"});
    event.preventDefault();
    over.append(rect);
    whole.setPointerCapture(event.pointerId);
    let box = [x, y, x, y];
    whole.onpointermove = move => {
      const [u, v] = at(move);
      box = [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)].map(Math.round);
      rect.setAttribute("x", box[0]); rect.setAttribute("y", box[1]);
      rect.setAttribute("width", box[2] - box[0]); rect.setAttribute("height", box[3] - box[1]);
    };
    whole.onpointerup = () => {
      whole.onpointermove = whole.onpointerup = null;
      if (box[2] - box[0] < 8 || box[3] - box[1] < 8) return rect.remove();
      const figure = {box, found: "no", name: ""}, select = document.createElement("select");
      figures.push(figure);
      select.append(...["", ...looks].map(l => new Option(l || "?", l)));
      bind(select, figure);
      const label = document.createElement("label");
      label.append(figures.length + " ", select);
      answer.append(label);
      over.append(Object.assign(svg("text", {x: box[0] + 6, y: box[1] + 34}), {textContent: figures.length}));
      mark();
    };
  };
  mark();
}
document.getElementById("save").onclick = () => {
  const quoted = text => /[",\\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  const lines = [["picture", "box", "found", "name"]];
  for (const [picture, own] of Object.entries(data)) {
    for (const f of own.figures) lines.push([picture, f.box ? f.box.join("-") : "", f.found, f.name]);
    lines.push([picture, "", "done", own.tick.checked ? "yes" : ""]);
  }
  const text = lines.map(l => l.map(quoted).join(",")).join("\\n") + "\\n", link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
  link.download = "labels.csv";
  link.click();
};
"""
