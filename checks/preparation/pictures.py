"""The pictures of docs/preparation.md: what became of one episode, drawn from a prepared workspace. No truth is read.

Each is a contact sheet: pictures in rows with a line or two of words below.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from fullcast.captions.config import CaptionsConfig
from fullcast.captions.source import Captions
from fullcast.journey import Journey
from fullcast.journey.preparing import Prepared, read_prepared
from fullcast.journey.taking_in import Duplicate
from fullcast.records import UNKNOWN, Image, Person, Sample, Shot, Video
from fullcast.store.pictures import read_picture
from fullcast.store.tables import read_records
from fullcast.store.workspace import Workspace

MARGIN, LINE, TEXT_PX = 8, 15, 12
COLOURS = ((214, 64, 69), (44, 123, 182), (35, 139, 69), (152, 78, 163), (230, 130, 20), (20, 140, 140))
QUALITY = 82
"""Of the JPEG files: a page with six of them stays below a megabyte."""


@dataclass(frozen=True)
class Episode:
    """A prepared show, and the episode of it that is told about."""

    workspace: Workspace
    ready: Prepared
    video: Video
    shots: tuple[Shot, ...]
    images: tuple[Image, ...]
    """Of the episode, in order of time; dropped ones too."""

    def picture(self, image: Image) -> np.ndarray:
        return read_picture(self.workspace.absolute(image.path))

    def people(self, image: Image) -> list[Person]:
        return [p for p in self.ready.people if p.image_id == image.id]


def read_episode(workspace: Path) -> Episode:
    """The first video of the workspace."""
    journey = Journey.open(workspace)
    show = journey.workspace.show_dir
    ready = read_prepared(journey)
    video = min(read_records(show / "videos.parquet", Video), key=lambda v: v.path)
    shots = [shot for shot in read_records(show / "shots.parquet", Shot) if shot.video_id == video.id]
    images = sorted((i for i in ready.images if i.video_id == video.id), key=lambda i: i.time_s)
    return Episode(journey.workspace, ready, video, tuple(shots), tuple(images))


def draw_all(workspace: Path, folder: Path) -> dict[str, Path]:
    """Writes every picture of the page; {name: file}."""
    episode = read_episode(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, draw in PICTURES.items():
        files[name] = folder / f"preparation-{name}.jpg"
        draw(episode).save(files[name], quality=QUALITY, optimize=True)
    return files


# ----------------------------------------------------------------------------------------------- one sheet each


def shots(episode: Episode) -> Pillow.Image:
    """The middle of each shot with its kind, its time, and how many pictures of it are used."""
    used = Counter(image.shot_id for image in episode.images if not image.dropped)
    frames = frames_at(episode, [(shot.start_s + shot.end_s) / 2 for shot in episode.shots])
    tiles = []
    for shot, frame in zip(episode.shots, frames, strict=True):
        kept = f"{used[shot.id]} used" if used[shot.id] else "not used"
        tiles.append(tile(frame, 200, [f"{shot.start_s:.1f} s  {shot.kind}", kept], used[shot.id] == 0))
    return sheet(tiles, 6)


def drawings(episode: Episode) -> Pillow.Image:
    """Everything that was kept of the shot with most drawings."""
    of_shot: dict[str, list[Image]] = defaultdict(list)
    for image in episode.images:
        if not image.dropped:
            of_shot[image.shot_id].append(image)
    chosen = max(of_shot.values(), key=len)[:12]
    return sheet([tile(episode.picture(i), 300, [f"{i.time_s:.2f} s, sharpness {i.sharpness:.1f}"]) for i in chosen], 4)


def duplicates(episode: Episode) -> Pillow.Image:
    """Near-duplicates over the whole show, each beside the picture that stands for it."""
    by_id = {image.id: image for image in episode.ready.images}
    pairs = read_records(episode.workspace.show_dir / "duplicates.parquet", Duplicate)
    tiles = []
    for pair in pairs[:4]:
        for image, word in ((by_id[pair.image_id], "left out"), (by_id[pair.kept_id], "stands for it")):
            where = (
                Path(image.path).name if not image.video_id else f"{_video_name(episode, image)} {image.time_s:.1f} s"
            )
            tiles.append(tile(episode.picture(image), 300, [f"{word}: {where}"], word == "left out"))
    return sheet(tiles, 4)


def people(episode: Episode) -> Pillow.Image:
    """Boxes of figures and heads with the names that they were given; grey: nobody of the cast."""
    tiles = []
    for image in _crowded(episode, 6):
        figures = sorted(episode.people(image), key=lambda p: p.place_xy)
        named = ", ".join(f"{p.name} {p.identity_score:.2f}" for p in figures)
        tiles.append(tile(with_boxes(episode, image, figures), 420, [named]))
    return sheet(tiles, 3)


def words(episode: Episode) -> Pillow.Image:
    """Three pictures, each with captions of four visits."""
    tiles = []
    for image in _crowded(episode, 3):
        own = tuple(sorted(episode.people(image), key=lambda p: p.place_xy))
        whole = (0.0, 0.0, float(image.width), float(image.height))
        tags = tuple(episode.ready.scene_tags.get(image.id, ()))
        sample = Sample(image.id, image.id, image.path, whole, "screenshots", own, tags=tags)
        source = Captions([sample], episode.ready.cast, CaptionsConfig(), seed=0)
        lines = [source.caption(image.id, visit) for visit in range(4)]
        tiles.append(tile(episode.picture(image), 420, lines))
    return sheet(tiles, 3)


def crops(episode: Episode) -> Pillow.Image:
    """A picture with several people and the crops that were cut from it."""
    of_parent: dict[str, list[Image]] = defaultdict(list)
    for crop in episode.ready.crops:
        of_parent[crop.parent].append(crop)
    parents = [i for i in _crowded(episode, 40) if {c.crop for c in of_parent[i.id]} >= {"head", "halfbody", "face"}]
    parent = parents[0] if parents else episode.images[0]
    tiles = [tile(episode.picture(parent), 300, ["the picture"])]
    for crop in of_parent[parent.id][:7]:
        who = [p.name for p in episode.ready.crop_people if p.image_id == crop.id]
        tiles.append(tile(episode.picture(crop), 300, [f"{crop.crop}: {', '.join(who)}"], height=200))
    return sheet(tiles, 4)


PICTURES: dict[str, Callable[[Episode], Pillow.Image]] = {
    "shots": shots,
    "drawings": drawings,
    "duplicates": duplicates,
    "people": people,
    "words": words,
    "crops": crops,
}


# ------------------------------------------------------------------------------------------------------- drawing


def frames_at(episode: Episode, times: Sequence[float]) -> list[np.ndarray]:
    """The frames of the video nearest after each of the ascending times, at a third of their size."""
    found: list[np.ndarray] = []
    last = None
    with av.open(str(episode.workspace.absolute(episode.video.path))) as container:
        for frame in container.decode(video=0):
            last = frame
            while len(found) < len(times) and frame.time >= times[len(found)]:
                found.append(frame.reformat(frame.width // 3, frame.height // 3, "rgb24").to_ndarray())
    while last is not None and len(found) < len(times):
        found.append(last.reformat(last.width // 3, last.height // 3, "rgb24").to_ndarray())
    return found


def with_boxes(episode: Episode, image: Image, figures: Sequence[Person]) -> np.ndarray:
    """The picture with each figure's boxes in the colour of its name."""
    names = episode.ready.cast.names
    picture = Pillow.fromarray(episode.picture(image))
    draw = ImageDraw.Draw(picture)
    wide = max(2, image.width // 320)
    for person in figures:
        known = person.character not in ("", UNKNOWN)
        colour = COLOURS[names.index(person.character) % len(COLOURS)] if known else (120, 120, 120)
        draw.rectangle(person.xyxy, outline=colour, width=wide)
        if person.head_xyxy is not None:
            draw.rectangle(person.head_xyxy, outline=colour, width=wide)
    return np.asarray(picture)


def tile(picture: np.ndarray, width: int, lines: Sequence[str], grey: bool = False, height: int = 0) -> Pillow.Image:
    """The picture at this width (within this height, if one is given) with lines below, broken where they are long."""
    scale = width / picture.shape[1]
    if height:
        scale = min(scale, height / picture.shape[0])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = Pillow.fromarray(picture).resize(size, Pillow.Resampling.LANCZOS)
    font = ImageFont.load_default(TEXT_PX)
    broken = [part for line in lines for part in _broken(line, font, width)]
    answer = Pillow.new("RGB", (width, small.height + LINE * len(broken) + 3), "white")
    answer.paste(Pillow.blend(small, Pillow.new("RGB", small.size, "white"), 0.55) if grey else small, (0, 0))
    draw = ImageDraw.Draw(answer)
    for row, line in enumerate(broken):
        draw.text((0, small.height + 2 + LINE * row), line, fill=(110, 110, 110) if grey else (20, 20, 24), font=font)
    return answer


def _broken(line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    rows = [""]
    for word in line.split(" "):
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and font.getlength(longer) > width:
            rows.append("  " + word)
        else:
            rows[-1] = longer if rows[-1].strip() else rows[-1] + word
    return rows


def sheet(tiles: Sequence[Pillow.Image], columns: int) -> Pillow.Image:
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    width = max(sum(t.width + MARGIN for t in row) for row in rows) + MARGIN
    heights = [max(t.height for t in row) for row in rows]
    answer = Pillow.new("RGB", (width, sum(heights) + MARGIN * (len(rows) + 1)), "white")
    y = MARGIN
    for row, high in zip(rows, heights, strict=True):
        x = MARGIN
        for one in row:
            answer.paste(one, (x, y))
            x += one.width + MARGIN
        y += high + MARGIN
    return answer


def _crowded(episode: Episode, count: int) -> list[Image]:
    """Used pictures of the episode with most people, no two of one shot."""
    used = [image for image in episode.images if not image.dropped]
    used.sort(key=lambda i: (-len(episode.people(i)), i.time_s))
    first: dict[str, Image] = {}
    for image in used:
        first.setdefault(image.shot_id, image)
    return list(first.values())[:count]


def _video_name(episode: Episode, image: Image) -> str:
    videos = read_records(episode.workspace.show_dir / "videos.parquet", Video)
    return next(Path(video.path).stem for video in videos if video.id == image.video_id)
