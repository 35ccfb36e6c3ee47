"""What is kept of an episode: every drawing once, no junk, letterbox off, in bounded memory, the same each time."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from conftest import Taken
from tiny_show import RATE, Truth, background, camera_iou, encode

from fullcast.ingest.config import IngestConfig
from fullcast.ingest.decode import VideoReader
from fullcast.ingest.extract import Extraction, extract_video
from fullcast.ingest.fingerprint import Fingerprint, make_fingerprint
from fullcast.ingest.letterbox import Bars
from fullcast.ingest.sampling import Kept
from fullcast.ports import silent
from fullcast.records import Image
from fullcast.store.pictures import file_id, read_picture

STORY = {"story", "opening", "flashback"}
FAST = IngestConfig(analysis_height=180)


def same_view(a: Truth, b: Truth) -> bool:
    return a.drawing == b.drawing and camera_iou(a.camera, b.camera) >= 0.9


def distinct(truths: list[Truth]) -> list[Truth]:
    found: list[Truth] = []
    for t in truths:
        if t.kind in STORY and not any(same_view(t, f) for f in found):
            found.append(t)
    return found


@pytest.fixture(params=[0, 1], ids=["episode1", "episode2"])
def taken(request: pytest.FixtureRequest, show: list[Taken]) -> Taken:
    return show[request.param]


def test_nearly_every_distinct_drawing_is_kept(taken: Taken) -> None:
    wanted = distinct(taken.truth)
    found = [w for w in wanted if any(same_view(w, k) for k in taken.kept)]
    assert len(wanted) > 55
    assert len(found) >= 0.9 * len(wanted)


def test_hardly_any_drawing_is_kept_twice_in_a_shot(taken: Taken) -> None:
    by_shot: dict[str, list[Truth]] = {}
    twice = 0
    for k in taken.kept:
        seen = by_shot.setdefault(k.shot, [])
        twice += any(same_view(k, s) for s in seen)
        seen.append(k)
    assert twice <= 0.04 * len(taken.kept)


def test_talking_mouths_are_kept_once_each_and_without_subtitles_where_possible(taken: Taken) -> None:
    talking = [(i, t) for i, t in zip(taken.kept_frames, taken.kept, strict=True) if t.shot.endswith("/talking")]
    assert len({t.drawing for _, t in talking}) == len(talking) >= 4
    start = next(i for i, t in enumerate(taken.truth) if t.shot.endswith("/talking"))
    # States 0 and 1 of the first mouth are also shown without text, before and after the lines.
    for i, t in talking:
        if t.drawing.endswith(("(0, 0)", "(1, 0)")):
            assert not 8 <= i - start < 40


def test_pictures_with_subtitles_say_so_and_no_others(taken: Taken) -> None:
    """In both talking shots lines stand from the eighth frame on, for 32."""
    starts = [next(i for i, t in enumerate(taken.truth) if t.shot.endswith(name)) for name in ("/talking", "/night")]
    tags = {frame: image.tags for frame, image in zip(taken.kept_frames, taken.result.images, strict=True)}
    under = [frame for frame in tags if any(start + 8 <= frame < start + 40 for start in starts)]
    assert under and {frame for frame in tags if tags[frame] == ("subtitled",)} == set(under)
    assert [bool(image.tags) for image in taken.result.images] == [f.has_text for f in taken.result.fingerprints]


def test_no_junk_is_kept_and_every_story_shot_has_a_frame(taken: Taken) -> None:
    assert {k.kind for k in taken.kept} <= STORY
    story = {t.shot for t in taken.truth if t.kind == "story"}
    assert story <= {k.shot for k in taken.kept}


def test_cuts_are_where_they_are(taken: Taken) -> None:
    truth = [i for i in range(1, len(taken.truth)) if taken.truth[i].shot != taken.truth[i - 1].shot]
    found = [round(s.start_s * RATE) for s in taken.result.shots[1:]]
    assert len(found) == len(truth)
    assert all(min(abs(f - t) for t in truth) <= 1 for f in found)


def test_shots_and_drops_say_what_was_left_out(taken: Taken) -> None:
    kinds = [s.kind for s in taken.result.shots]
    assert kinds.count("title") == kinds.count("credits") == kinds.count("black") == 1
    reasons = {d.reason for d in taken.result.drops}
    assert {"title", "credits", "black", "fade", "held"} <= reasons
    dropped = sum(int(d.detail.split()[0]) for d in taken.result.drops)
    assert dropped + len(taken.result.images) == taken.result.video.num_frames == len(taken.truth)


def test_letterbox_is_cut_off_there_only(taken: Taken) -> None:
    for image, truth in zip(taken.result.images, taken.kept, strict=True):
        if truth.shot.endswith("/letterboxed"):
            x0, y0, x1, y1 = image.frame_xyxy
            assert (x0, x1) == (0, 640)
            assert 43 <= y0 <= 48 and 312 <= y1 <= 317
            assert (image.width, image.height) == (x1 - x0, y1 - y0)
            assert read_picture(taken.out_dir / image.path)[[0, -1]].mean() > 30
        else:
            assert image.frame_xyxy is None


def test_records_name_the_files(taken: Taken) -> None:
    images = taken.result.images
    assert len({i.id for i in images}) == len(images)
    shots = {s.id for s in taken.result.shots}
    for image in images[:5]:
        assert file_id(taken.out_dir / image.path) == image.id
        assert image.shot_id in shots
        assert image.time_s == pytest.approx(image.pts * float(1 / 12288), abs=1e-3)
    assert len(list(taken.out_dir.iterdir())) == len(images)


@pytest.fixture(scope="module")
def panned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A street seen by a camera that moves so fast that each of 170 frames is a view of its own."""
    street = np.asarray(background(3, 170 * 18 + 320, 180))
    return encode([street[:, 18 * i : 18 * i + 320] for i in range(170)], tmp_path_factory.mktemp("pan") / "pan.mp4")


def test_memory_is_bounded_and_the_bound_changes_nothing(panned: Path, tmp_path: Path) -> None:
    """12 frames of this size fill 1 MB: the shot is decided in parts and gives the same files."""
    whole = extract_video(panned, tmp_path / "a", FAST)
    parts = extract_video(panned, tmp_path / "b", FAST.model_copy(update={"buffer_mb": 1}))
    assert whole.images == parts.images and whole.shots == parts.shots and whole.drops == parts.drops
    assert len(whole.images) > 140


def street(levels: int = 0, seed: int = 3) -> np.ndarray:
    """(180, 320, 3): so many levels darker."""
    lit = np.asarray(background(seed, 320, 180)).astype(int) - levels
    return np.clip(lit, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("levels", [10, 17, 24])
@pytest.mark.parametrize("lengths", [(20, 100), (100, 130)])
def test_light_that_steps_in_a_held_drawing_costs_neither_shot_its_picture(
    tmp_path: Path, levels: int, lengths: tuple[int, int]
) -> None:
    first, second = lengths
    frames = [street()] * first + [street(levels)] * second + [street(seed=9)] * 30
    result = extract_video(encode(frames, tmp_path / "a.mp4"), tmp_path / "out", FAST)
    assert [round(s.start_s * RATE) for s in result.shots] == [0, first, first + second]
    assert [i.shot_id for i in result.images] == [s.id for s in result.shots]


class At:
    """A detector that finds one cut, whatever is there."""

    name = "test"

    def __init__(self, frame: int) -> None:
        self.frame, self.begin = frame, 0

    def cuts(self, thumbnails: np.ndarray) -> list[int]:
        start, self.begin = self.begin, max(0, self.begin + len(thumbnails) - 80)
        return [self.frame - start]


@pytest.mark.parametrize("cut", [3, 30, 119, 125, 170])
def test_a_cut_inside_a_held_drawing_loses_no_picture(tmp_path: Path, cut: int) -> None:
    """Which of the two shots has it depends on when the drawing ended."""
    path = encode([street()] * 180, tmp_path / "a.mp4")
    result = extract_video(path, tmp_path / "out", FAST, detector=At(cut))
    assert len(result.shots) == 2 and len(result.images) == 1
    assert result.images[0].shot_id in {s.id for s in result.shots}


class Nowhere:
    """A store that keeps nothing."""

    def store(self, kept: Kept, bars: Bars, small: tuple[int, int]) -> tuple[Image, Fingerprint]:
        image = Image(str(kept.run.frame.index), "", 320, 180, "screenshots")
        return image, make_fingerprint(image.id, np.zeros((180, 320, 3), np.uint8))

    def remove(self, image: Image) -> None:
        pass


def test_what_waits_for_a_cut_is_small(panned: Path, tmp_path: Path) -> None:
    reader = VideoReader(panned, FAST)
    assert reader.frame_bytes >= 320 * 180 * 1.5
    work = Extraction(reader, "v", Nowhere(), FAST, At(10_000))
    work.run(silent)
    assert sum(thumbnail.nbytes for thumbnail in work.thumbnails) <= 170 * 48 * 27 * 3
    assert all(thumbnail.base is None or thumbnail.base.nbytes <= 48 * 27 * 3 for thumbnail in work.thumbnails)


def test_frames_of_10_bit_fill_the_buffer_twice_as_fast(tmp_path: Path) -> None:
    frames = [street()] * 3
    plain, deep = encode(frames, tmp_path / "8.mp4"), tmp_path / "10.mkv"
    with av.open(str(deep), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p10le"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture.reformat(format="yuv420p10le")))
        container.mux(stream.encode())
    assert VideoReader(deep, FAST).frame_bytes >= 2 * 320 * 180 * 1.5 > VideoReader(plain, FAST).frame_bytes
