"""report.html: one file that a person wants to look at, and that shows where the model fails."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fullcast.judging.page import sections
from fullcast.judging.page.html import Html, render, tag
from fullcast.judging.page.pictures import Pictures
from fullcast.judging.report_data import ReportData
from fullcast.store.atomic import write_text

JUDGEMENT = (
    ("success", "Success"),
    ("comparisons", "Which is better"),
    ("progress", "Over training"),
    ("measures", "Measured"),
    ("failures", "Failures"),
    ("extremes", "Best and worst"),
    ("gallery", "Pictures"),
    ("again", "Again"),
)

CONTENTS = (
    ("cast", "Cast"),
    ("material", "Episodes"),
    ("mixture", "Mixture"),
    ("training", "Training"),
    ("gallery", "Pictures"),
    ("success", "Success"),
    ("failures", "Failures"),
    ("again", "Again"),
)


def write_report(data: ReportData, path: Path, root: Path) -> Path:
    """Write the page to ``path``, pictures embedded from ``root``; nothing is loaded from anywhere when it is opened.

    Pictures that cannot be read are left as empty frames and counted in the page's foot. Returns ``path``.
    """
    pictures = Pictures(root)
    body = (
        sections.header(data, pictures),
        tag("nav", [tag("a", name, href=f"#{anchor}") for anchor, name in CONTENTS]),
        tag(
            "main",
            sections.cast(data, pictures),
            sections.material(data, pictures),
            sections.mixture(data),
            sections.training(data, pictures),
            sections.gallery(data, pictures),
            sections.success(data),
            sections.progress(data) if data.progress else None,
            sections.measures(data) if data.measures else None,
            sections.failures(data, pictures),
            sections.repairs(data, pictures) if data.repairs or "repairs" in data.absent else None,
            sections.again(data),
        ),
        sections.footer(data, pictures),
    )
    write_text(path, _document(f"{data.show}: Fullcast report", render(body)))
    return path


def write_judgement(data: ReportData, path: Path, root: Path) -> Path:
    """The judge's part alone, with what `report.html` has no room for: comparisons, everything that was measured, best
    and worst. As `write_report` otherwise."""
    pictures = Pictures(root)
    sections_ = {
        "success": sections.success(data),
        "comparisons": sections.comparisons(data) if data.comparisons else None,
        "progress": sections.progress(data) if data.progress else None,
        "measures": sections.measures(data) if data.measures else None,
        "failures": sections.failures(data, pictures),
        "extremes": sections.best_and_worst(data, pictures) if data.best or data.worst else None,
        "gallery": sections.gallery(data, pictures),
        "again": sections.again(data) if data.commands else None,
    }
    there = [(anchor, name) for anchor, name in JUDGEMENT if sections_[anchor] is not None]
    body = (
        sections.header(data, pictures, "Judgement"),
        tag("nav", [tag("a", name, href=f"#{anchor}") for anchor, name in there]),
        tag("main", [sections_[anchor] for anchor, _ in there]),
        sections.footer(data, pictures),
    )
    write_text(path, _document(f"{data.show}: judgement", render(body)))
    return path


def _document(title: str, body: Html) -> str:
    page = files("fullcast.judging.page")
    style, script = (page.joinpath(name).read_text(encoding="utf-8") for name in ("style.css", "page.js"))
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    )
    content = (tag("head", head), tag("body", body, tag("script", Html(script))))
    return f"<!doctype html>\n{tag('html', content, lang='en')}\n"
