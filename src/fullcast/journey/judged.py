"""What a judgement is told beside its verdicts (hair, references, the judge's errors, true pictures), and its files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fullcast.journey.compositions import novelty_by_series
from fullcast.journey.doors import Doors
from fullcast.journey.references import References
from fullcast.journey.telling import judge_sentence, tell
from fullcast.records import Cast
from fullcast.store.atomic import write_json
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.partitions import cached, partition_key
from fullcast.store.pictures import read_picture
from fullcast.store.tables import read_metadata

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.judging.hair import Lab
    from fullcast.judging.judgement import Judgement
    from fullcast.judging.likeness import Likeness, Vector
    from fullcast.judging.measures import Error, Known
    from fullcast.judging.rows import Row

PAGE = "page"
HAIR_VERSION = 1


def write_judged(
    journey: Journey, cast: Cast, rows: Sequence[Row], out: Path | None, scored: Sequence[Row] = ()
) -> tuple[Judgement, Path]:
    """Counts everything over the rows of all series and writes page, JSON, Markdown and tables; (figures, folder)."""
    from fullcast.judging.cache import question_key
    from fullcast.judging.detect_compare import reference_scores
    from fullcast.judging.judgement import make_judgement, write_judgement
    from fullcast.judging.measures import Known

    doors = Doors(journey.workspace, journey.recipe)
    look = doors.look(cast)
    errors = read_errors(journey, question_key(look.name, cast))
    made = make_judgement(
        rows,
        cast,
        journey.recipe.judging,
        Known(hair_of_cast(journey, cast, doors), reference_scores(cast), errors, novelty_by_series(journey, rows)),
        scored=scored,
        alike=likeness_of(journey, rows, doors),
        judge=judge_sentence(journey, look.name),
        scorer="the networks that labelled",
    )
    folder = out or journey.workspace.judging_dir / PAGE
    write_judgement(made, folder, journey.workspace.root, tell(journey))
    return made, folder


def kept_known(journey: Journey, verdicts: Path, cast: Cast) -> Known:
    """What was known when the table ``verdicts`` was made, without asking a network: the judge's errors, and hair and
    references too as long as ``cast`` is still the one that was judged over."""
    from fullcast.judging.cache import question_key
    from fullcast.judging.detect_compare import reference_scores
    from fullcast.judging.measures import Known

    told = read_metadata(verdicts)
    question = told.get("question", "")
    errors = read_errors(journey, question)
    if question_key(told.get("look", ""), cast) != question:
        return Known(errors=errors)
    hair = _hair_path(journey)
    return Known(_read_hair(hair) if hair.exists() else {}, reference_scores(cast), errors)


# --- the judge's own errors


def keep_errors(journey: Journey, question: str, errors: Mapping[int, Error]) -> Path:
    """They hold for these networks and this cast: ``question`` is `judging.cache.question_key` of both."""
    path = _errors_path(journey)
    rows = {str(n): asdict(error) for n, error in errors.items()}
    write_json(path, {"question": question, "accepted": _accepted(journey), "errors": rows})
    return path


def _accepted(journey: Journey) -> dict[str, float]:
    """The settings by which the judge lets a figure count: other ones make other errors."""
    config = journey.recipe.judging
    return {name: getattr(config, name) for name in ("min_confidence", "max_overlap", "min_area")}


def read_errors(journey: Journey, question: str) -> dict[int, Error]:
    """Empty: never measured, or measured of another judge, over another cast or by other rules."""
    from fullcast.judging.measures import Error

    try:
        data = json.loads(_errors_path(journey).read_text(encoding="utf-8"))
        if data["question"] != question or data["accepted"] != _accepted(journey):
            return {}
        return {int(n): Error(**row) for n, row in data["errors"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _errors_path(journey: Journey) -> Path:
    return journey.workspace.judging_dir / "errors.json"


# --- hair


def hair_of_cast(journey: Journey, cast: Cast, doors: Doors) -> dict[str, Lab]:
    """Look ("aoi", "aoi/hairdown") -> median (L, a, b) over its references; {} without any. Kept until they change."""
    given = References(journey.workspace)
    looks: dict[str, list[Path]] = {}
    for file, name, form in given.named():
        if name in cast.names:
            looks.setdefault("/".join(filter(None, (name, form))), []).append(file)
    if not looks:
        return {}
    files = {f"{look} {p.name}": given.content(p) for look, pictures in looks.items() for p in pictures}
    key = partition_key(files, list(cast.names), [doors.judge_detector.name], HAIR_VERSION)
    path = _hair_path(journey)

    def make(out: Path) -> None:
        write_json(out, {look: list(color) for look, color in _measured(looks, doors)})

    cached(path, key, make)
    return _read_hair(path)


def _hair_path(journey: Journey) -> Path:
    return journey.workspace.judging_dir / "hair.json"


def _read_hair(path: Path) -> dict[str, Lab]:
    return {look: (v[0], v[1], v[2]) for look, v in json.loads(path.read_text(encoding="utf-8")).items()}


def _measured(looks: Mapping[str, Sequence[Path]], doors: Doors) -> Iterable[tuple[str, tuple[float, ...]]]:
    from fullcast.judging.hair import hair_color
    from fullcast.recognition.detect import HEAD

    for look, pictures in looks.items():
        colors = []
        for path in pictures:
            try:
                image = read_picture(path)
            except UnreadableFile:
                continue
            [detections] = doors.judge_detector.detect([image])
            heads = [(d.confidence, d.xyxy) for d in detections if d.label == HEAD]
            if heads and (color := hair_color(image, max(heads)[1])):
                colors.append(color)
        if colors:
            yield look, tuple(float(v) for v in np.median(colors, axis=0).round(2))


# --- true pictures


def likeness_of(journey: Journey, rows: Sequence[Row], doors: Doors) -> Likeness | None:
    """Made pictures beside the show's own, as the judge's embedder sees whole pictures; None where nothing is prepared
    or `judging.true_pictures` is 0."""
    from fullcast.journey.preparing import read_prepared
    from fullcast.judging.likeness import TRUE, likeness

    config = journey.recipe.judging
    try:
        images = [i for i in read_prepared(journey).images if i.source == "screenshots" and not i.dropped]
    except FullcastError:
        return None
    if not images or not rows or not config.true_pictures:
        return None
    size = rows[0].verdict.width, rows[0].verdict.height
    chosen = images[:: max(1, -(-len(images) // config.true_pictures))]
    true = {image.path: journey.workspace.root / image.path for image in chosen}
    episodes = {image.path: image.video_id for image in chosen}
    vectors = _vectors(journey, doors, TRUE, true, episodes, {}, size)
    for series in dict.fromkeys(row.series for row in rows):
        own = {row.path: row for row in rows if row.series == series}
        made = {path: journey.workspace.root / path for path in own}
        groups = {path: row.scene.id for path, row in own.items()}
        vectors += _vectors(journey, doors, series, made, groups, {p: r.num_people for p, r in own.items()}, size)
    return likeness(vectors, f"{doors.judge_embedder.name} and detail by size", config.seed)


def _vectors(
    journey: Journey,
    doors: Doors,
    series: str,
    pictures: Mapping[str, Path],
    groups: Mapping[str, str],
    numbers: Mapping[str, int],
    size: tuple[int, int],
) -> list[Vector]:
    from fullcast.judging.features import look_at_pictures
    from fullcast.judging.likeness import Vector

    kept = journey.workspace.judging_dir / "features"
    seen = look_at_pictures(pictures, doors.judge_embedder, size, kept, journey.progress)
    return [Vector(series, path, groups[path], numbers.get(path, 0), one) for path, one in seen.items()]
