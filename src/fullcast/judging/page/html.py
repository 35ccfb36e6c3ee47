"""The few elements that the page is built of. Text is always escaped; only `Html` is taken as it is."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Html(str):
    """Text that is HTML already."""


Content = str | Html | int | float | None | Iterable["Content"]


def render(content: Content) -> Html:
    """Escaped text, or the HTML that it is; an iterable is joined."""
    if content is None:
        return Html("")
    if isinstance(content, Html):
        return content
    if isinstance(content, str | int | float):
        return Html(escape(str(content), quote=True))
    return Html("".join(render(part) for part in content))


def tag(name: str, /, *children: Content, **attributes: object) -> Html:
    """``tag("a", "text", href="#x", class_="y")``; an attribute that is None is left out, ``_`` becomes ``-``."""
    pairs = ((k.rstrip("_").replace("_", "-"), v) for k, v in attributes.items() if v is not None)
    head = name + "".join(f' {key}="{escape(str(value), quote=True)}"' for key, value in pairs)
    if name in ("img", "input", "meta", "rect", "line", "circle", "path", "polyline", "polygon"):
        return Html(f"<{head}/>")
    return Html(f"<{head}>{render(children)}</{name}>")


def percent(value: float, digits: int = 0) -> str:
    """0.153 -> "15 %", with a space that does not break; nan -> a dash."""
    return "–" if value != value else f"{100 * value:.{digits}f}\u00a0%"


def number(value: float) -> str:
    """12345 -> "12,345"."""
    return f"{value:,.0f}"
