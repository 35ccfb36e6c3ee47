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
from fullcast.records import Cast, Image, Sample
from fullcast.store.atomic import write_json
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.partitions import cached, partition_key
from fullcast.store.pictures import read_picture
from fullcast.store.tables import read_metadata, read_records
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.judging.hair import Lab
    from fullcast.judging.judgement import Judgement
    from fullcast.judging.likeness import Likeness
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
    """They hold for these networks and this cast: ``question`` is `judging.cache.question_key` of both. Those of other
    numbers of people that were measured so before stay."""
    path = _errors_path(journey)
    rows = {str(n): asdict(error) for n, error in sorted((read_errors(journey, question) | dict(errors)).items())}
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
    """Made pictures beside the show's own and beside those that are trained on, as the judge's embedder sees whole
    pictures; None where there are no true ones (nothing is prepared, or `judging.true_pictures` is 0) and no two made
    ones of one prompt."""
    from fullcast.judging.features import look_at_pictures
    from fullcast.judging.likeness import Vector, likeness

    if not rows:
        return None
    true = _true_pictures(journey)
    several = len(rows) > len({(row.series, row.scene.id) for row in rows})
    if not true and not several:
        return None
    told = [*true, *((row.series, row.path, row.scene.id, row.num_people) for row in rows)]
    seen = look_at_pictures(
        {path: journey.workspace.root / path for _, path, _, _ in told},
        doors.judge_embedder,
        (rows[0].verdict.width, rows[0].verdict.height),
        journey.workspace.judging_dir / "features",
        journey.progress,
    )
    vectors = [Vector(*one, seen[one[1]]) for one in told if one[1] in seen]
    return likeness(vectors, f"{doors.judge_embedder.name} and detail by size", journey.recipe.judging.seed)


def _true_pictures(journey: Journey) -> list[tuple[str, str, str, int]]:
    """(series, path, episode, 0) of as many screenshots as the settings say, evenly over the show, and of every picture
    that is trained on, by its source."""
    from fullcast.journey.preparing import read_prepared
    from fullcast.judging.likeness import TRAINED, TRUE

    most = journey.recipe.judging.true_pictures
    try:
        prepared = read_prepared(journey)
    except FullcastError:
        return []
    screenshots = [i for i in prepared.images if i.source == "screenshots" and not i.dropped]
    pictures = {image.path: image for image in prepared.pictures if not image.dropped}
    if not screenshots or not most:
        return []
    chosen = screenshots[:: max(1, -(-len(screenshots) // most))]
    videos = {image.id: image.video_id for image in prepared.images}
    episodes = {path: image.video_id or videos.get(image.parent, "") for path, image in pictures.items()}
    trained = _trained_on(journey.workspace, pictures)
    return [
        *((TRUE, image.path, image.video_id, 0) for image in chosen),
        # What comes from no video is an episode of its own.
        *((TRAINED + source, path, episodes.get(path) or path, 0) for path, source in trained.items()),
    ]


def _trained_on(workspace: Workspace, pictures: Mapping[str, Image]) -> dict[str, str]:
    """Path -> source of every picture that the plan shows at least once; without a plan of all that are there."""
    samples = workspace.show_dir / "samples.parquet"
    if not samples.exists():
        return {path: image.source for path, image in pictures.items()}
    never = workspace.plan_dir / "never-seen.txt"
    unseen = set(never.read_text(encoding="utf-8").splitlines()) if never.exists() else set()
    return {s.path: s.source for s in read_records(samples, Sample) if s.path not in unseen}
