"""The dataset's card: what it holds, how right its labels are, what to beware of. Lies beside the model card."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.journey.answers import counted
from fullcast.journey.attributes import attributes, warnings
from fullcast.journey.deciding import HOMELESS
from fullcast.journey.preparing import Prepared, read_prepared
from fullcast.journey.wording import read_about_captions
from fullcast.records import UNKNOWN
from fullcast.store.atomic import write_text
from fullcast.store.decisions import read_log

if TYPE_CHECKING:
    from fullcast.journey import Journey

AUDIT = "audit.json"
"""Written by `fullcast audit`; this reads its figures and no truth."""

NAME = "dataset.md"
BASELINES = ("pHash:", "identity by ")
"""Rows of the audit that measure simpler means and not this dataset."""


def write_dataset_card(journey: Journey, path: Path) -> Path:
    """Writes the card in Markdown; returns ``path``."""
    write_text(path, dataset_card(journey))
    return path


def dataset_card(journey: Journey) -> str:
    """The whole card."""
    ready = read_prepared(journey)
    parts = [
        f"# The dataset of {journey.recipe.show}",
        *_composition(ready),
        *_accuracy(_audit(journey)),
        *_habits(ready),
        *_decisions(journey, ready),
        *_made_with(journey, ready),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _audit(journey: Journey) -> dict[str, Any]:
    path = journey.workspace.show_dir / AUDIT
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _composition(ready: Prepared) -> list[str]:
    used = {image.id: image for image in ready.images if not image.dropped}
    people = [person for person in ready.people if person.image_id in used]
    sources = Counter(image.source for image in used.values())
    sizes = Counter(Counter(p.image_id for p in people).values())
    empty = len(used) - sum(sizes.values())
    names = Counter(person.name for person in people if person.character not in ("", UNKNOWN))
    unknown = len(people) - sum(names.values())
    by_count = ", ".join(f"{count:,} with {n}" for n, count in [(0, empty), *sorted(sizes.items())] if count)
    rows = ["| look | people | pictures |", "|---|---|---|"]
    for name, count in names.most_common():
        rows.append(f"| {name} | {count:,} | {len({p.image_id for p in people if p.name == name}):,} |")
    artists = sorted({i.artist for i in used.values() if i.artist})
    licences = Counter(image.licence or "not stated" for image in used.values() if image.source == "fanart")
    drops = [f"- {stage}: {count:,} {reason}" for stage, reason, count in counted(ready.drops)]
    return [
        "## What it holds",
        f"{len(used):,} pictures ({', '.join(f'{n:,} {source}' for source, n in sources.items())}); by the number of "
        f"people: {by_count}. {len(people):,} people, {unknown:,} of them nobody of the cast.",
        "\n".join(rows) if names else "",
        f"Artists: {', '.join(artists)}." if artists else "",
        "Licences of the fan art: " + ", ".join(f"{k} ({n})" for k, n in licences.items()) + "." if licences else "",
        "What was left out, and why:" if drops else "",
        "\n".join(drops),
    ]


def _accuracy(audit: Mapping[str, Any]) -> list[str]:
    title = "## How right the labels are"
    if not audit:
        return [title, "Not measured: draw a sample with `fullcast audit sample`, label it, run `fullcast audit gold`."]
    how = (
        f"Estimated from {audit['gold']} pictures that were labelled, drawn by stratum and weighted back to the whole."
        if "gold" in audit
        else f"Against the table `{audit['table']}`, which says who is really where."
    )
    rows = ["| measure | value | 95 % interval | n |", "|---|---|---|---|"]
    for row in audit["measures"]:
        e = row["ours"]
        if e["n"] and not _is_absent(e["value"]) and not row["name"].startswith(BASELINES):
            rows.append(f"| {row['name']} | {e['value']:.3f} | {e['low']:.3f} to {e['high']:.3f} | {e['n']:,} |")
    wrong = [r for r in audit.get("confusion", ()) if r["true"] != r["given"]][:10]
    mistakes = [f"- {r['true']} taken for {r['given']}: {r['share']:.1%} of {r['true']}" for r in wrong]
    return [
        title,
        how,
        "\n".join(rows),
        " ".join(audit.get("notes", ())),
        "Who is taken for whom, most frequent first:" if mistakes else "",
        "\n".join(mistakes),
    ]


def _habits(ready: Prepared) -> list[str]:
    told = warnings(attributes(ready.people, ready.images, ready.scene_tags))
    lines = [f"- {sentence}" for sentence in told]
    return [
        "## What goes with one character too often",
        "A model learns it as part of the name. More pictures without it help, or its word said in every caption."
        if lines
        else "Nothing that is seen in more than half of a character's shots and twice as often as with others.",
        "\n".join(lines),
    ]


def _decisions(journey: Journey, ready: Prepared) -> list[str]:
    log = read_log(journey.workspace.review_log)
    counts, _ = read_about_captions(journey.workspace)
    path = journey.workspace.show_dir / HOMELESS
    lost = len(json.loads(path.read_text(encoding="utf-8"))["homeless"]) if path.exists() else 0
    actions = Counter(decision.action for decision in log.active)
    doubtful = sum(not check.agrees for check in counts)
    told = ", ".join(f"{n} {action}" for action, n in actions.most_common()) or "none"
    return [
        "## What people decided",
        f"Decisions in force: {told}." + (f" {lost} find no figure any more." if lost else ""),
        f"Pictures whose people and tags still disagree about their number: {doubtful}; their captions state none."
        if doubtful and journey.recipe.captions.doubtful_count == "omit"
        else "",
    ]


def _made_with(journey: Journey, ready: Prepared) -> list[str]:
    from fullcast.journey.doors import Doors

    doors = Doors(journey.workspace, journey.recipe)
    lines = [f"- detector: `{doors.detector.name}`", f"- embedder: `{doors.embedder.name}`",
             f"- tagger: `{doors.tagger.name}`",
             f"- threshold of `unknown`: cosine {ready.cast.threshold:.3f}, calibrated on the references"]  # fmt: skip
    return ["## Made with", "\n".join(lines), _licence(journey.recipe.licence)]


def _licence(licence: str) -> str:
    return f"Licence: {licence or 'not stated'}."


def _is_absent(value: float | None) -> bool:
    """null; NaN in an audit.json from before."""
    return value is None or value != value


def facts_of(audit: Mapping[str, Any], wanted: Sequence[str] = ("open-set accuracy", "people counted right")) -> str:
    """The two figures that stand for all, for a line elsewhere; '' when nothing was measured."""
    rows = {row["name"]: row["ours"] for row in audit.get("measures", ())}
    told = [f"{name} {rows[name]['value']:.3f} ({rows[name]['low']:.3f} to {rows[name]['high']:.3f})"
            for name in wanted if name in rows and not _is_absent(rows[name]["value"])]  # fmt: skip
    return ", ".join(told)
