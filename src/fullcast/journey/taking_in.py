"""Stage 1 of prepare: episodes and folders of pictures to images, one partition each; then duplicates over all.

A video's partition is the folder ``data/frames/{video id}``: kept frames beside their tables. A folder of pictures has
tables alone, its pictures stay where they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.deciding import decide_images
from fullcast.journey.mapping import make_all
from fullcast.journey.reusing import note_seen, seen_before
from fullcast.ports import Progress, silent
from fullcast.records import Drop, Image, Shot, Source, Video
from fullcast.store.decisions import read_log
from fullcast.store.errors import UnreadableFile
from fullcast.store.executors import Task
from fullcast.store.given import BESIDE, files_below
from fullcast.store.partitions import partition_key
from fullcast.store.pictures import file_id
from fullcast.store.tables import read_records, write_records

if TYPE_CHECKING:
    from fullcast.ingest.config import IngestConfig
    from fullcast.ingest.fingerprint import Fingerprint
    from fullcast.journey import Journey
    from fullcast.models.base import ShotDetector

STAGE = "ingest"
DUPLICATES = "duplicates.parquet"
"""In data/show: which picture is a near-duplicate of which."""


@dataclass(frozen=True)
class Partition:
    """One map result: a video's frames, or a folder of pictures."""

    name: str
    """The video's id, or the source's name; also the name of its results in later stages."""
    key: str
    folder: Path
    images: tuple[Image, ...] = ()
    shots: tuple[Shot, ...] = ()
    video: Video | None = None
    drops: tuple[Drop, ...] = ()
    fresh: bool = False
    """Computed now, not found ready."""


@dataclass(frozen=True)
class Duplicate:
    """A picture that is not used because another shows the same."""

    image_id: str
    kept_id: str


@dataclass(frozen=True)
class TakenIn:
    """Everything that was given, as images; those of no use say why in ``dropped``."""

    partitions: tuple[Partition, ...]
    images: tuple[Image, ...]
    shots: tuple[Shot, ...]
    videos: tuple[Video, ...]
    drops: tuple[Drop, ...]
    details: Mapping[str, str] = field(default_factory=dict)
    """Of images that a filter keeps out: why, in a few words, by id."""


@dataclass(frozen=True)
class _Wanted:
    """A partition to come: its task, and for a video where its file lies now."""

    name: str
    task: Task
    title: str
    video_path: str = ""


def take_in(journey: Journey) -> TakenIn:
    """All partitions, those that are ready as they are; then filters, what people decided, and near-duplicates over the
    whole show: a picture that may not be used, or that somebody dropped, never stands for another."""
    from fullcast.journey.importing import imported_partitions
    from fullcast.journey.sifting import sift_given

    wanted = [*_videos(journey), *_folders(journey)]
    fresh = _make_all(journey, [w for w in wanted if isinstance(w, _Wanted)])
    partitions = [
        w if isinstance(w, Partition) else _partition(w, w.name in fresh, journey.recipe.ingest.licence) for w in wanted
    ]
    partitions += imported_partitions(journey.workspace)
    partitions = _each_once(partitions)
    images, details = sift_given(journey, partitions, [image for p in partitions for image in p.images])
    log = read_log(journey.workspace.review_log)
    images = _without_duplicates(journey, partitions, decide_images(images, log))
    images = _crops_like_originals(decide_images(images, log))
    shots = [shot for partition in partitions for shot in partition.shots]
    return TakenIn(
        tuple(partitions),
        tuple(images),
        tuple(_mark_repeats(shots, images)),
        tuple(p.video for p in partitions if p.video),
        tuple(drop for partition in partitions for drop in partition.drops),
        details,
    )


def after_late_drops(journey: Journey, taken: TakenIn, images: Sequence[Image]) -> TakenIn:
    """`taken` with `images`, some of which are dropped only now: where one of those stood for near-duplicates, they are
    looked for again without it, and one of them takes its place."""
    from fullcast.ingest.dedup import NEAR_DUPLICATE

    images = list(images)
    why = {image.id: image.dropped for image in images}
    pairs = read_records(journey.workspace.show_dir / DUPLICATES, Duplicate)
    shots = taken.shots
    if any(why[pair.image_id] == NEAR_DUPLICATE and why[pair.kept_id] not in ("", NEAR_DUPLICATE) for pair in pairs):
        images = [replace(image, dropped="") if image.dropped == NEAR_DUPLICATE else image for image in images]
        images = _without_duplicates(journey, taken.partitions, images)
        images = decide_images(images, read_log(journey.workspace.review_log))
        seen = {image.shot_id for image in images if not image.dropped}
        shots = tuple(replace(s, kind="story") if s.kind == "repeat" and s.id in seen else s for s in shots)
    return replace(taken, images=tuple(_crops_like_originals(images)), shots=shots)


def _each_once(partitions: Sequence[Partition]) -> list[Partition]:
    """The partitions with every file in one of them: in the first that has it, before any of regularization pictures.
    The other copies are drops, and what was said of them is said of the one that is used."""
    from fullcast.ingest.filters import merged

    found: dict[str, list[tuple[bool, int, Image]]] = defaultdict(list)
    for number, partition in enumerate(partitions):
        for image in partition.images:
            found[image.id].append((image.source == "regularization", number, image))
    used: dict[str, Image] = {}
    home: dict[str, int] = {}
    for image_id, copies in found.items():
        (_, home[image_id], used[image_id]), *others = sorted(copies, key=lambda copy: copy[:2])
        for _, _, copy in others:
            used[image_id] = merged(used[image_id], copy)
    return [_at_home(partition, number, used, home) for number, partition in enumerate(partitions)]


def _at_home(partition: Partition, number: int, used: Mapping[str, Image], home: Mapping[str, int]) -> Partition:
    """The partition with the pictures that are at home in it, as they are used, and the others as drops. What later
    stages make of it depends on which those are: so does its key."""
    gone = [image for image in partition.images if home[image.id] != number]
    images = tuple(used[i] for i in dict.fromkeys(image.id for image in partition.images) if home[i] == number)
    if not gone:
        return replace(partition, images=images)
    drops = [Drop(image.path, STAGE, "same-file", f"the same bytes as {used[image.id].path}") for image in gone]
    key = partition_key([partition.key, *(image.id for image in gone)])
    return replace(partition, images=images, key=key, drops=(*partition.drops, *drops))


def _crops_like_originals(images: Sequence[Image]) -> list[Image]:
    """Imported crops of pictures that are not used are not used either, for the same reason."""
    why = {image.id: image.dropped for image in images}
    return [
        replace(image, dropped=why.get(image.parent, "")) if image.source == "crop" and not image.dropped else image
        for image in images
    ]


def _make_all(journey: Journey, wanted: list[_Wanted]) -> set[str]:
    """Makes what is not ready, several at once where there are several cores; the names of those made."""
    fresh = make_all(journey, [w.task for w in wanted], "videos and folders", [w.title for w in wanted])
    return {w.name for w, is_fresh in zip(wanted, fresh, strict=True) if is_fresh}


def _videos(journey: Journey) -> Iterator[Partition | _Wanted]:
    """One partition per video, in the order of their paths: the order of the show."""
    from fullcast.ingest.decode import VIDEO_SUFFIXES
    from fullcast.ingest.extract import VERSION
    from fullcast.journey.doors import Doors

    workspace, config = journey.workspace, journey.recipe.ingest
    shots = Doors(workspace, journey.recipe).shot_detector
    seen: dict[str, str] = {}
    files, lost = _given(workspace.episodes_dir)
    yield from (_useless(workspace.relative(Path(error.path)), error) for error in lost)
    for path in files:
        name = workspace.relative(path)
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            if path.suffix.lower() not in BESIDE:
                yield Partition(name, "", path, drops=(Drop(name, STAGE, "other-file", "no video by its name"),))
            continue
        try:
            video_id = file_id(path)
        except UnreadableFile as error:
            yield _useless(name, error)
            continue
        if video_id in seen:
            yield Partition(name, "", path, drops=(Drop(name, STAGE, "same-file", f"the bytes of {seen[video_id]}"),))
            continue
        seen[video_id] = name
        key = partition_key([video_id], config.read_by_videos(), [shots.name], VERSION)
        folder = workspace.frames_dir / video_id
        task = Task(folder, key, _take_video, (path, workspace.relative(folder), config, workspace.root, shots))
        yield _Wanted(video_id, task, path.name, name)


def _useless(name: str, error: UnreadableFile) -> Partition:
    """What was given and cannot be had: a partition of nothing but the reason."""
    return Partition(name, "", Path(error.path), drops=(Drop(name, STAGE, error.reason, error.detail),))


def _take_video(
    folder: Path,
    path: Path,
    final: str,
    config: IngestConfig,
    root: Path,
    shots: ShotDetector,
    progress: Progress = silent,
) -> None:
    """Makes a video's partition in `folder`; `final`: where the records say that it lies."""
    import cv2

    from fullcast.ingest.extract import extract_video

    cv2.setNumThreads(1)  # its pictures are too small to share out; the cores have videos of their own
    result = extract_video(path, folder, config, progress, root=root, detector=shots)
    images = [replace(image, path=f"{final}/{Path(image.path).name}") for image in result.images]
    _write(folder, images, result.fingerprints, result.drops, result.shots, result.video)


def _folders(journey: Journey) -> Iterator[_Wanted]:
    """Fan art and regularization pictures: one partition each."""
    from fullcast.ingest.pictures import VERSION

    workspace, config = journey.workspace, journey.recipe.ingest
    sources: tuple[tuple[Source, Path], ...] = (
        ("fanart", workspace.fanart_dir),
        ("regularization", workspace.regularization_dir),
    )
    for source, folder in sources:
        files, lost = _given(folder)
        if not lost and all(path.suffix.lower() in BESIDE for path in files):
            continue
        inputs = {workspace.relative(path): content_of(path) for path in files}
        inputs |= {workspace.relative(Path(error.path)): error.reason for error in lost}
        key = partition_key(inputs, config.read_by_pictures(), version=VERSION)
        former = workspace.frames_dir / source
        task = Task(former, key, _take_folder, (source, folder, former, config, workspace.root))
        yield _Wanted(source, task, folder.name)


def content_of(path: Path) -> str:
    """A file's id, or why it has none: when it can be read again, what was made of it is made anew."""
    try:
        return file_id(path)
    except UnreadableFile as error:
        return error.reason


def _take_folder(
    out: Path,
    source: Source,
    folder: Path,
    former: Path,
    config: IngestConfig,
    root: Path,
    progress: Progress = silent,
) -> None:
    """Makes a folder's partition in `out`. Pictures of the `former` result are not decoded again; what lies beside them
    is read anew."""
    from fullcast.ingest.fingerprint import Fingerprint
    from fullcast.ingest.pictures import VERSION, collect_pictures

    made_with = partition_key([], config.read_by_pictures(), version=VERSION)
    known: dict[str, tuple[Image, Fingerprint]] = {}
    if seen_before(former, made_with):
        images = {image.id: image for image in read_records(former / "images.parquet", Image)}
        fingerprints = read_records(former / "fingerprints.parquet", Fingerprint)
        known = {f.image_id: (images[f.image_id], f) for f in fingerprints}
    result = collect_pictures(folder, source, config, progress, root=root, known=known)
    _write(out, result.images, result.fingerprints, result.drops)
    note_seen(out, made_with, {image.id: "" for image in result.images})


def _partition(wanted: _Wanted, fresh: bool, licence: str) -> Partition:
    """licence: of pictures that do not bring their own; in no table, so that another one redoes no pixel."""
    folder = wanted.task.result_dir
    videos = read_records(folder / "video.parquet", Video)
    return Partition(
        wanted.name,
        wanted.task.key,
        folder,
        tuple(replace(i, licence=i.licence or licence) for i in read_records(folder / "images.parquet", Image)),
        tuple(read_records(folder / "shots.parquet", Shot)),
        replace(videos[0], path=wanted.video_path) if videos else None,  # the file may have been renamed since
        tuple(_named_now(read_records(folder / "drops.parquet", Drop), wanted.video_path)),
        fresh,
    )


def _named_now(drops: list[Drop], video_path: str) -> Iterator[Drop]:
    """Drops of a whole video by the name that its file has now."""
    for drop in drops:
        whole = video_path and Path(drop.item).suffix and ":" not in drop.item
        yield replace(drop, item=video_path) if whole else drop


def _write(
    folder: Path,
    images: list[Image],
    fingerprints: list[Fingerprint],
    drops: list[Drop],
    shots: list[Shot] | None = None,
    video: Video | None = None,
) -> None:
    from fullcast.ingest.fingerprint import Fingerprint

    write_records(folder / "images.parquet", images, Image)
    write_records(folder / "fingerprints.parquet", fingerprints, Fingerprint)
    write_records(folder / "drops.parquet", drops, Drop)
    write_records(folder / "shots.parquet", shots or [], Shot)
    write_records(folder / "video.parquet", [video] if video else [], Video)


def _without_duplicates(journey: Journey, partitions: Sequence[Partition], images: Sequence[Image]) -> list[Image]:
    """The images, in the order of the show, near-duplicates marked; data/show/duplicates.parquet says of what."""
    from fullcast.ingest.dedup import NEAR_DUPLICATE, find_duplicates
    from fullcast.ingest.fingerprint import Fingerprint

    fingerprints: list[Fingerprint] = []
    for partition in partitions:
        ids = {image.id for image in partition.images}
        table = partition.folder / "fingerprints.parquet"
        fingerprints += [f for f in (read_records(table, Fingerprint) if ids else []) if f.image_id in ids]
    found = find_duplicates(images, fingerprints, journey.recipe.ingest)
    duplicates = [Duplicate(image_id, kept) for image_id, kept in found.dropped.items()]
    write_records(journey.workspace.show_dir / DUPLICATES, duplicates, Duplicate)
    return [replace(image, dropped=NEAR_DUPLICATE) if image.id in found.dropped else image for image in images]


def _mark_repeats(shots: list[Shot], images: list[Image]) -> Iterator[Shot]:
    """Story shots of which nothing is left, because all of it is seen elsewhere: openings, flashbacks."""
    had = {image.shot_id for image in images}
    left = {image.shot_id for image in images if not image.dropped}
    for shot in shots:
        yield replace(shot, kind="repeat") if shot.kind == "story" and shot.id in had - left else shot


def _given(folder: Path) -> tuple[list[Path], list[UnreadableFile]]:
    """`files_below` without hidden files."""
    files, lost = files_below(folder)
    return [path for path in files if not path.name.startswith(".")], lost
