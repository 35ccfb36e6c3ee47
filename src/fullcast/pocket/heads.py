"""Heads drawn by DiceBear styles: a `Look` and an expression become SVG with the chin at a known point.

Every style is an illustrator's work under its own licence (see NOTICE): ToonHead by Johan Melin, Adventurer by Lisa
Wischofsky, Custom Avatar (big-smile) by Ashley Seo, Personas by Draftbit, Avatar Illustration System (micah) by Micah
Lanier, all CC BY 4.0. We leave out their busts and draw bodies of our own below the head (`bodies.py`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fullcast.pocket.looks import Look, shade

EXPRESSIONS = ("smile", "laugh", "sad", "angry", "surprised", "eyes closed")
"""A figure may also talk: ``smile|laugh`` is the face of the first with the mouth of the second."""


@dataclass(frozen=True, slots=True)
class HeadStyle:
    """Where the parts of a style's canvas are, and its words for our expressions."""

    drop: tuple[str, ...]
    """Canvas elements that are not drawn."""
    chin: tuple[float, float]
    """Lowest point of the face, canvas units."""
    skull: float
    """Height of the bare head, canvas units: becomes 100 units of ours."""
    eyes_y: float
    """Height of the eyes and their distance from the middle line, for glasses."""
    eyes_dx: float
    eyes_x: float
    outline: float
    """Line width of the style in our units, for the bodies; 0: none."""
    expressions: dict[str, dict[str, str]]


STYLES: dict[str, HeadStyle] = {
    "toon-head": HeadStyle(
        drop=("body", "clothes"),
        chin=(384, 588),
        skull=400,
        eyes_y=404,
        eyes_dx=78,
        eyes_x=384,
        outline=0,
        expressions={
            "smile": {"eyes": "happy", "mouth": "smile", "eyebrows": "happy"},
            "laugh": {"eyes": "happy", "mouth": "laugh", "eyebrows": "raised"},
            "sad": {"eyes": "humble", "mouth": "sad", "eyebrows": "sad"},
            "angry": {"eyes": "happy", "mouth": "angry", "eyebrows": "angry"},
            "surprised": {"eyes": "wide", "mouth": "agape", "eyebrows": "raised"},
            "eyes closed": {"eyes": "bow", "mouth": "smile", "eyebrows": "neutral"},
        },
    ),
    "adventurer": HeadStyle(
        drop=(),
        chin=(372, 606),
        skull=430,
        eyes_y=412,
        eyes_dx=88,
        eyes_x=322,
        outline=2.4,
        expressions={
            "smile": {"eyes": "variant26", "mouth": "variant02", "eyebrows": "variant10"},
            "laugh": {"eyes": "variant26", "mouth": "variant23", "eyebrows": "variant10"},
            "sad": {"eyes": "variant04", "mouth": "variant11", "eyebrows": "variant11"},
            "angry": {"eyes": "variant12", "mouth": "variant21", "eyebrows": "variant01"},
            "surprised": {"eyes": "variant08", "mouth": "variant18", "eyebrows": "variant10"},
            "eyes closed": {"eyes": "variant19", "mouth": "variant02", "eyebrows": "variant10"},
        },
    ),
    "big-smile": HeadStyle(
        drop=("accessories",),
        chin=(270, 408),
        skull=330,
        eyes_y=228,
        eyes_dx=46,
        eyes_x=310,
        outline=0,
        expressions={
            "smile": {"eyes": "normal", "mouth": "kawaii"},
            "laugh": {"eyes": "cheery", "mouth": "openedSmile"},
            "sad": {"eyes": "sad", "mouth": "openSad"},
            "angry": {"eyes": "angry", "mouth": "unimpressed"},
            "surprised": {"eyes": "normal", "mouth": "gapSmile"},
            "eyes closed": {"eyes": "sleepy", "mouth": "kawaii"},
        },
    ),
    "personas": HeadStyle(
        drop=("facialHair", "clothes", "mask", "g"),
        chin=(32, 43.5),
        skull=27,
        eyes_y=29,
        eyes_dx=5.4,
        eyes_x=32,
        outline=0,
        expressions={
            "smile": {"eyes": "open", "mouth": "smile"},
            "laugh": {"eyes": "happy", "mouth": "bigSmile"},
            "sad": {"eyes": "open", "mouth": "frown"},
            "angry": {"eyes": "open", "mouth": "lips"},
            "surprised": {"eyes": "open", "mouth": "surprise"},
            "eyes closed": {"eyes": "sleep", "mouth": "smirk"},
        },
    ),
    "micah": HeadStyle(
        drop=("clothes", "earrings", "glasses", "facialHair"),
        chin=(196, 262),
        skull=200,
        eyes_y=158,
        eyes_dx=36,
        eyes_x=198,
        outline=2.6,
        expressions={
            "smile": {"eyes": "eyes", "mouth": "smile", "eyebrows": "up"},
            "laugh": {"eyes": "smiling", "mouth": "laughing", "eyebrows": "up"},
            "sad": {"eyes": "eyes", "mouth": "sad", "eyebrows": "down"},
            "angry": {"eyes": "eyes", "mouth": "nervous", "eyebrows": "down"},
            "surprised": {"eyes": "round", "mouth": "surprised", "eyebrows": "up"},
            "eyes closed": {"eyes": "smiling", "mouth": "smirk", "eyebrows": "up"},
        },
    ),
}


@lru_cache(maxsize=32)
def _style(name: str, only: str = ""):
    """A DiceBear style without the parts we do not draw; `only` keeps one named element (toon-head's rear hair)."""
    import dicebear_styles
    from dicebear import Style

    root = Path(next(iter(dicebear_styles.__path__)))
    definition = json.loads(next(root.rglob(f"{name}.json")).read_text(encoding="utf-8"))
    elements = definition["canvas"]["elements"]
    if only:
        elements = [e for e in elements if e.get("name") == only]
    else:
        drop = {*STYLES[name].drop, "rearHair"}
        elements = [e for e in elements if e.get("name") not in drop]
    definition["canvas"]["elements"] = elements
    return Style(definition), definition


def _options(look: Look, expression: str) -> dict:
    style = STYLES[look.style]
    _, definition = _style(look.style)
    options: dict = {"seed": "fullcast"}
    for name, component in definition["components"].items():
        if "probability" in component:
            options[f"{name}Probability"] = 0
        else:
            options[f"{name}Variant"] = [next(iter(component["variants"]))]
    face, _, mouth = expression.partition("|")
    parts = style.expressions[face] | ({"mouth": style.expressions[mouth]["mouth"]} if mouth else {})
    for name, variant in parts.items():
        options[f"{name}Variant"] = [variant]
    front, _, rear = look.hair.partition("+")
    options |= {"hairVariant": [front], "hairProbability": 100, "hairColor": [look.hair_color.lstrip("#")]}
    if rear:
        options |= {"rearHairVariant": [rear], "rearHairProbability": 100}
    skin = look.skin.lstrip("#")
    options |= {"skinColor": [skin], "baseColor": [skin], "eyebrowsColor": [shade(look.hair_color, 0.6).lstrip("#")]}
    if look.style == "adventurer":
        options |= {"inkColor": ["2a2430"]}
    return options


def _fragment(svg: str, look: Look) -> str:
    """The drawing as a nested <svg> whose chin is at (0, 0) and whose skull is 100 units high."""
    style = STYLES[look.style]
    scale = 100 / style.skull
    view = re.search(r'viewBox="([^"]+)"', svg)
    assert view is not None, "DiceBear writes a viewBox"
    width, height = (float(v) for v in view.group(1).split()[2:])
    body = svg[svg.index(">") + 1 : svg.rindex("</svg>")]
    body = re.sub(r"<metadata.*?</metadata>", "", body, flags=re.S)
    return (
        f'<svg x="{-style.chin[0] * scale:.3f}" y="{-style.chin[1] * scale:.3f}" width="{width * scale:.3f}" '
        f'height="{height * scale:.3f}" viewBox="0 0 {width} {height}" overflow="visible" fill="none">{body}</svg>'
    )


def draw_head(look: Look, expression: str) -> tuple[str, str]:
    """(what hangs behind the body, the head): SVG fragments in units of a hundredth of the skull, chin at (0, 0)."""
    from dicebear import Avatar

    options = _options(look, expression)
    behind = ""
    if look.hair.partition("+")[2]:
        behind = _fragment(Avatar(_style(look.style, "rearHair")[0], options).to_string(), look)
    head = _fragment(Avatar(_style(look.style)[0], options).to_string(), look)
    return behind, head + _accessory(look)


def _accessory(look: Look) -> str:
    style = STYLES[look.style]
    scale = 100 / style.skull
    y = (style.eyes_y - style.chin[1]) * scale
    x = (style.eyes_x - style.chin[0]) * scale
    dx = style.eyes_dx * scale
    color, dark = look.accessory_color, shade(look.accessory_color, 0.7)
    match look.accessory:
        case "round glasses":
            lens = "".join(f'<circle cx="{x + s * dx}" cy="{y}" r="{dx * 0.9}"/>' for s in (-1, 1))
            return f'<g fill="#ffffff55" stroke="#1d1d26" stroke-width="4.5">{lens}</g>'
        case "square glasses":
            lens = "".join(
                f'<rect x="{x + s * dx - dx * 0.85}" y="{y - dx * 0.62}" width="{dx * 1.7}" height="{dx * 1.24}"/>'
                for s in (-1, 1)
            )
            return f'<g fill="#ffffff40" stroke="#8c1d2f" stroke-width="5">{lens}</g>'
        case "ribbon":
            return (
                f'<g transform="translate(34 -92) rotate(18)" fill="{color}" stroke="{dark}" stroke-width="2">'
                '<path d="M0 0 L-26 -17 L-26 17 Z"/><path d="M0 0 L26 -17 L26 17 Z"/><circle r="7"/></g>'
            )
        case "headband":
            return f'<path d="M-47 -66 Q0 -112 47 -66" fill="none" stroke="{color}" stroke-width="12"/>'
        case "flower":
            petals = "".join(
                f'<circle cx="{11 * c:.1f}" cy="{11 * s:.1f}" r="8.5"/>'
                for c, s in ((1, 0), (0.31, 0.95), (-0.81, 0.59), (-0.81, -0.59), (0.31, -0.95))
            )
            return (
                f'<g transform="translate(-37 -80)"><g fill="{color}" stroke="{dark}" stroke-width="1.5">{petals}</g>'
                '<circle r="7" fill="#ffe27a"/></g>'
            )
        case "hairclip":
            return (
                f'<g transform="translate(-30 -76) rotate(-28)" fill="{color}" stroke="#222" stroke-width="1.5">'
                '<rect x="-19" y="-11" width="38" height="8" rx="3"/>'
                '<rect x="-19" y="3" width="38" height="8" rx="3"/></g>'
            )
    return ""
