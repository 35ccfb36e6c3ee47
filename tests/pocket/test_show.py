"""A pocket show is a real video with known truth, the same for the same seed and another for another."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np
import pytest

from fullcast.audit.truth import Truth
from fullcast.pocket.cast import make_cast
from fullcast.pocket.film import film
from fullcast.pocket.script import MAX_OCCLUSION, write_script
from fullcast.pocket.show import ShowSettings, make_show
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import read_picture

SMALL = ShowSettings(num_episodes=2, seconds=24.0, num_fanart=4, num_regularization=4, num_workers=1)


@pytest.fixture(scope="module")
def show(tmp_path_factory):
    return make_show(tmp_path_factory.mktemp("show"), 7, SMALL)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_seed_gives_the_same_bytes(show, tmp_path) -> None:
    episode = write_script(make_cast(7, "toon-head"), 7, 2, 24.0)[0]
    film(episode, tmp_path / "ep01.mp4")
    assert digest(tmp_path / "ep01.mp4") == digest(show.episodes[0])


def test_another_seed_gives_another_cast() -> None:
    assert make_cast(7, "toon-head") == make_cast(7, "toon-head")
    assert make_cast(7, "toon-head").members != make_cast(8, "toon-head").members


def test_episodes_are_h264_with_every_kind_of_shot(show) -> None:
    truth = Truth.read(show.truth)
    for path in show.episodes:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert (stream.width, stream.height, stream.average_rate) == (1280, 720, 24)
            num_frames = sum(1 for _ in container.decode(stream))
        frames = truth.by_video[path.name]
        assert num_frames == len(frames) == round(SMALL.seconds * 24)
        kinds = {frame.kind for frame in frames}
        assert {"story", "opening", "title", "black", "credits", "flashback", "fade"} <= kinds


def test_the_opening_repeats_and_a_flashback_shows_an_earlier_drawing(show) -> None:
    truth = Truth.read(show.truth)
    first, second = (truth.by_video[p.name] for p in show.episodes)
    opening = [{f.drawing for f in frames if f.kind == "opening"} for frames in (first, second)]
    assert opening[0] == opening[1] != set()
    for frames in (first, second):
        told = {f.drawing for f in truth.frames if f.kind == "story"}
        assert {f.drawing for f in frames if f.kind == "flashback"} <= told


def test_truth_boxes_show_the_people(show) -> None:
    """Inside a true head box the frame differs from a picture without people: a box that drifts would find sky."""
    truth = Truth.read(show.truth)
    path = show.episodes[0]
    frames = truth.by_video[path.name]
    wanted = {f.index: f for f in frames if f.people and f.kind == "story"}
    checked = 0
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index not in wanted or index % 12:
                continue
            rgb = frame.to_ndarray(format="rgb24").astype(float)
            for person in wanted[index].people:
                x0, y0, x1, y1 = (round(v) for v in person.head_xyxy)
                assert 0 <= x0 < x1 <= 1280 and 0 <= y0 < y1 <= 720
                assert rgb[y0:y1, x0:x1].std() > 8  # a face has eyes, hair and skin
                checked += 1
    assert checked > 10


def test_nobody_is_hidden_by_more_than_the_limit() -> None:
    from fullcast.pocket.scene import compose

    for episode in write_script(make_cast(9, "toon-head"), 9, 1, 24.0):
        for shot in episode.shots:
            for drawing in shot.drawings[:1]:
                composed = compose(drawing)
                for index, area in enumerate(composed.areas):
                    assert (composed.owner == index).sum() >= (1 - MAX_OCCLUSION) * area


def test_beside_the_episodes(show) -> None:
    references = sorted((show.root / "references").rglob("*.png"))
    forms = sum(len(m.looks) for m in show.cast.members)
    assert (len(show.cast.members), forms, len(references)) == (8, 10, 100)
    assert len(list((show.root / "fanart").rglob("*.png"))) == 4
    assert len(list((show.root / "regularization").glob("*.png"))) == 4
    shapes = {read_picture(p).shape[:2] for p in (show.root / "fanart").rglob("*.png")}
    assert len(shapes) > 1
    assert np.mean([read_picture(p).std() for p in references]) > 20


def test_an_unknown_style_is_refused(tmp_path) -> None:
    with pytest.raises(FullcastError, match="no drawing style is called 'manga'; choose one of: toon-head"):
        make_show(tmp_path, 1, ShowSettings(style="manga"))


def test_colours_survive_the_codec(tmp_path) -> None:
    """Untagged or with the wrong matrix, reds and blues come out 14 levels off, and references look like others."""
    from dataclasses import replace

    from fullcast.pocket.film import _frames

    episode = write_script(make_cast(7, "toon-head"), 7, 1, 24.0)[0]
    episode = replace(episode, shots=episode.shots[:1])
    drawn = [rgb for rgb, _ in _frames(episode)]
    film(episode, tmp_path / "ep.mp4")
    with av.open(str(tmp_path / "ep.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)
        for rgb, frame in zip(drawn, container.decode(stream), strict=True):
            shown = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray().astype(int)
            assert np.abs((shown - rgb).mean((0, 1))).max() < 2.5  # swscale rounds by up to two levels
