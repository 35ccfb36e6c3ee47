"""The parts by themselves: camera, comparison, cuts, cards, letterbox."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tiny_show import Figure, background, draw_figure, look_at, write_lines

from fullcast.ingest.camera import Motion, View, register, warp
from fullcast.ingest.compare import Surface, Tolerances, difference, is_same
from fullcast.ingest.config import IngestConfig
from fullcast.ingest.junk import card_kind, card_layout, junk_frames
from fullcast.ingest.letterbox import find_bars, scale_bars
from fullcast.ingest.planes import lights_of, shrink
from fullcast.ingest.writing import encode_frame
from fullcast.models.shots import Cuts
from fullcast.store.pictures import decode_picture

TOLERANCES = Tolerances(floor=6, edge=0.35, threshold=75, subtitle_band=0.28)


def scene(mouth: int = 0, head: float = 40) -> np.ndarray:
    image = background(5, 1280, 720)
    draw_figure(ImageDraw.Draw(image), Figure(600, 330, head, 2, mouth=mouth))
    return np.asarray(image)


def luma(rgb: np.ndarray) -> np.ndarray:
    small = np.asarray(Image.fromarray(rgb).resize((640, 360), Image.Resampling.BOX), np.float32)
    return (16 + small @ np.array([0.257, 0.504, 0.098], np.float32) + 0.5).astype(np.uint8)


@pytest.mark.parametrize(
    "box", [(0, 0, 1280, 720), (30, 0, 1310, 720), (0, 22, 1280, 742), (16, 9, 1264, 711), (40, 20, 1288, 722)]
)
def test_registration_finds_pans_and_zooms(box: tuple[float, float, float, float]) -> None:
    world = background(9, 1400, 800)
    a, b = (shrink(luma(look_at(world, view, (1280, 720))), 2) for view in ((0, 0, 1280, 720), box))
    found = register(View(a), View(b))
    shared = max(0, min(1280, box[2]) - max(0, box[0])) * max(0, min(720, box[3]) - max(0, box[1]))
    area = (box[2] - box[0]) * (box[3] - box[1])
    assert found.agreement > 0.9
    assert found.motion.overlap(720 / 1280) == pytest.approx(shared / (1280 * 720 + area - shared), abs=0.006)


def test_a_smooth_gradient_shows_no_motion_and_stops_nothing() -> None:
    plain = np.tile(np.linspace(20, 200, 320, dtype=np.float32), (180, 1))
    dotted = plain.copy()
    dotted[50:53, 50:52] += 40
    assert register(View(plain), View(dotted)).agreement == 0
    assert register(View(dotted), View(plain)).agreement == 0


def test_motions_compose_and_turn_back() -> None:
    m, n = Motion(1.1, 0.02, -0.01), Motion(0.95, -0.03, 0.0)
    back = n.after(m).after(n.after(m).back())
    assert (back.scale, back.dx, back.dy) == pytest.approx((1, 0, 0), abs=1e-12)
    assert Motion().overlap(0.5) == 1
    assert Motion(1.0, 0.5, 0.0).overlap(0.5) == pytest.approx(1 / 3)


def test_warp_undoes_a_shift() -> None:
    x = np.random.default_rng(0).random((40, 60)).astype(np.float32)
    seen, shown = warp(x, Motion(1.0, 3 / 60, -2 / 60))
    assert np.allclose(seen[2:, :-3], x[:-2, 3:], atol=1e-5)
    assert shown == (2, 40, 0, 57)
    levels = (255 * x).astype(np.uint8)
    seen, shown = warp(levels, Motion(1.0, 3 / 60, -2 / 60))
    assert np.array_equal(seen[2:, :-3], levels[:-2, 3:]) and shown == (2, 40, 0, 57)


def test_a_small_mouth_is_another_drawing_and_noise_is_not() -> None:
    a, b = scene(0), scene(1)
    noise = np.random.default_rng(0).normal(0, 2, (360, 640))
    noisy = np.clip(luma(a) + noise, 0, 255).astype(np.uint8)
    assert difference(Surface(luma(a)), Surface(noisy), TOLERANCES).same
    assert not difference(Surface(luma(a)), Surface(luma(b)), TOLERANCES).same
    # The mouth of a head of 24 px in 720p, the smallest that the pocket show draws.
    assert not difference(Surface(luma(scene(0, 24))), Surface(luma(scene(1, 24))), TOLERANCES).same


def test_another_subtitle_is_the_same_drawing_but_not_what_changes_above_it() -> None:
    plain = scene(0)
    lines = [write_lines(plain, [(text, 650)], 40, outline=3) for text in ("What did you say?", "Nothing at all.")]
    mouth = write_lines(scene(1), [("Nothing at all.", 650)], 40, outline=3)
    a, b, c, d = (Surface(luma(x)) for x in (plain, *lines, mouth))
    assert difference(a, b, TOLERANCES).same
    assert difference(b, c, TOLERANCES).same
    assert not difference(b, d, TOLERANCES).same
    without = Tolerances(6, 0.35, 75, subtitle_band=0)
    assert not difference(b, c, without).same


def thumbnails(frames: list[np.ndarray]) -> np.ndarray:
    return np.stack([np.asarray(Image.fromarray(f).resize((48, 27), Image.Resampling.BOX)) for f in frames])


def test_cuts_are_found_and_pans_zooms_flashes_and_faces_are_not() -> None:
    worlds = [background(seed, 1800, 720) for seed in (1, 2)]
    size = (480, 270)
    pan = [look_at(worlds[0], (12 * i, 0, 12 * i + 1280, 720), size) for i in range(40)]
    zoom = [look_at(worlds[1], (12 * i, 7 * i, 1280 - 12 * i, 720 - 7 * i), size) for i in range(30)]
    flash = [np.full_like(pan[0], 255)]
    faces = [look_at(Image.fromarray(scene(i // 3 % 3, 200)), (0, 0, 1280, 720), size) for i in range(24)]
    frames = [*pan, *zoom, *flash, *zoom[-1:] * 10, *faces]
    assert Cuts().cuts(thumbnails(frames)) == [40, 81]
    assert Cuts().cuts(thumbnails(frames[:1])) == []


def test_fades_and_black_are_told_from_a_dark_scene() -> None:
    base = thumbnails([scene()])[0].astype(float)
    night = np.repeat(base[None] * 0.25, 10, 0)
    fade = np.stack([base * (1 - i / 20) for i in range(20)])
    black = np.zeros((8, 27, 48, 3))
    frames = np.concatenate([night, np.repeat(base[None], 12, 0), fade, black]).astype(np.uint8)
    kinds = junk_frames(lights_of(np.stack(frames)), 24)
    assert set(kinds[:20]) == {""}
    assert set(kinds[24:36]) == {"fade"}
    assert set(kinds[36:42]) <= {"fade", "black"}
    assert set(kinds[-7:]) == {"black"}


def test_cards_are_read_and_subtitled_pictures_are_not() -> None:
    ground = np.full((720, 1280, 3), 40, np.uint8)
    title = write_lines(ground, [("Episode 3: The Visitor", 360)], 80)
    credits = write_lines(ground * 0, [(f"Key animation  A. Name {i}", 90 * i + 60) for i in range(7)], 44)
    assert card_layout(luma(title), 0.28).num_lines == 1
    assert card_layout(luma(credits), 0.28).num_lines >= 4
    assert card_layout(luma(scene()), 0.28) is None
    assert card_layout(luma(write_lines(scene(), [("Hello there, you two.", 650)], 40, outline=3)), 0.28) is None
    night = (scene() * 0.3).astype(np.uint8)
    assert card_layout(luma(write_lines(night, [("Hello there, you two.", 650)], 40, outline=3)), 0.28) is None
    assert card_kind(1, 1, 40, at=0.1) == "title"
    assert card_kind(7, 1, 40, at=0.1) == card_kind(2, 40, 40, at=0.5) == card_kind(1, 1, 40, at=0.95) == "credits"


def test_bars_are_found_where_both_are_and_dark_ground_is_no_bar() -> None:
    picture = luma(scene())
    barred = picture.copy()
    barred[:44] = barred[-44:] = 17
    assert find_bars([barred, barred]) == (0, 44, 0, 44)
    assert find_bars([picture, barred]) == (0, 0, 0, 0)
    dark_low = picture.copy()
    dark_low[-60:] = 17
    assert find_bars([dark_low]) == (0, 0, 0, 0)
    assert scale_bars((0, 44, 0, 44), (640, 360), (1280, 720)) == (0, 90, 0, 90)


def test_a_partition_is_keyed_by_what_its_stage_reads_and_every_setting_by_some_stage() -> None:
    config = IngestConfig()
    other = config.model_copy(update={"duplicate_threshold": 50.0, "min_side": 32, "licence": "CC0"})
    assert config.read_by_videos() == other.read_by_videos()
    assert config.read_by_pictures() == config.model_copy(update={"drawing_threshold": 90.0}).read_by_pictures()
    # What only compares finished fingerprints or measures, and the licence, are of every run and belong to no key.
    keyed = config.read_by_videos().keys() | config.read_by_pictures().keys()
    assert set(IngestConfig.model_fields) - keyed == {"duplicate_threshold", "licence", "filters"}


def test_frames_are_written_as_png_that_gives_back_every_pixel() -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (37, 51, 3), dtype=np.uint8)
    data = encode_frame(rgb, "video pts 7 * 1/24")
    assert np.array_equal(decode_picture(data), rgb)
    assert data == encode_frame(rgb, "video pts 7 * 1/24") != encode_frame(rgb, "video pts 8 * 1/24")
    with Image.open(io.BytesIO(data)) as image:
        assert image.text == {"Source": "video pts 7 * 1/24"}


def test_only_rows_that_changed_are_visited_and_the_answer_is_that_of_all() -> None:
    a = luma(scene(0))
    for row in (0, 3, 171, 356):
        b = a.copy()
        b[row : row + 4, 300:304] = 255 - b[row : row + 4, 300:304] // 2
        whole = difference(Surface(a), Surface(b), TOLERANCES)
        assert not whole.same
        assert not is_same(Surface(a), Surface(b), Tolerances(6, 0.35, 75, subtitle_band=0))
    assert is_same(Surface(a), Surface(a + 2), TOLERANCES)
