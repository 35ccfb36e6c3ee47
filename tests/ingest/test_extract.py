"""What is kept of an episode: every drawing once, no junk, letterbox off, in bounded memory, the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Taken
from tiny_show import RATE, Truth, background, camera_iou, encode

from fullcast.ingest.config import IngestConfig
from fullcast.ingest.extract import extract_video
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
