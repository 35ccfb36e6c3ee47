"""The one reader: what comes in in any shape goes out as upright sRGB, and what cannot says why in one word."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import (
    bytes_id,
    decode_picture,
    file_id,
    picture_size,
    read_picture,
    read_png_text,
    resize,
    write_png,
)
from fullcast.store.png import lacks_pixels


@pytest.fixture
def drawing() -> np.ndarray:
    """(40, 60, 3): left half red, right half blue, one green row on top."""
    array = np.zeros((40, 60, 3), np.uint8)
    array[:, :30, 0] = 255
    array[:, 30:, 2] = 255
    array[0] = (0, 255, 0)
    return array


def test_png_round_trip_is_exact_and_its_bytes_are_the_same_twice(tmp_path: Path, drawing: np.ndarray) -> None:
    write_png(tmp_path / "a.png", drawing, {"parameters": "葵, park", "plain": "x"})
    write_png(tmp_path / "b.png", drawing, {"parameters": "葵, park", "plain": "x"})
    assert np.array_equal(read_picture(tmp_path / "a.png"), drawing)
    assert read_png_text(tmp_path / "a.png") == {"parameters": "葵, park", "plain": "x"}
    assert read_png_text(tmp_path / "a.png", before_pixels=True) == {"parameters": "葵, park", "plain": "x"}
    assert file_id(tmp_path / "a.png") == file_id(tmp_path / "b.png")
    assert file_id(tmp_path / "a.png") == bytes_id((tmp_path / "a.png").read_bytes())
    assert len(file_id(tmp_path / "a.png")) == 20
    with pytest.raises(UnreadableFile, match="cannot be read"):
        file_id(tmp_path)


def test_exif_rotation_is_applied(tmp_path: Path, drawing: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    Image.fromarray(drawing).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "turned.png"), np.rot90(drawing, -1))
    assert picture_size(tmp_path / "turned.png") == (40, 60)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_undone_as_pillow_does_it(orientation: int, drawing: np.ndarray) -> None:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(drawing).save(file, "PNG", exif=exif)
    turned = ImageOps.exif_transpose(Image.open(io.BytesIO(file.getvalue())))
    assert np.array_equal(decode_picture(file.getvalue()), np.asarray(turned))


@pytest.mark.parametrize("name", ["bad.png", "bad.jpg", "bad.webp"])
def test_exif_that_cannot_be_read_turns_nothing_and_costs_no_picture(
    tmp_path: Path, name: str, drawing: np.ndarray
) -> None:
    exif = b"MMbad" if name == "bad.webp" else b"Exif\0\0MMbad"
    Image.fromarray(drawing).save(tmp_path / name, exif=exif, **({"quality": 95} if name == "bad.jpg" else {}))
    assert read_picture(tmp_path / name).shape == (40, 60, 3)
    assert picture_size(tmp_path / name) == (60, 40)


@pytest.mark.parametrize("more", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"subsampling": 0}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_lies_about_its_height_is_truncated_and_a_plain_one_is_whole(mode: str, more: dict) -> None:
    """Its lower half is white, as fan art often is; then the header says 400 rows, or the data end early."""
    picture = np.random.default_rng(0).integers(0, 255, (96, 72, 3), np.uint8)
    picture[40:] = 255
    file = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(file, "JPEG", quality=90, **more)
    whole = file.getvalue()
    assert decode_picture(whole).shape == (96, 72, 3)
    assert decode_picture(whole + b"what a camera wrote").shape == (96, 72, 3)
    start = whole.index(b"\xff\xc2" if "progressive" in more else b"\xff\xc0")
    tall = whole[: start + 5] + struct.pack(">H", 400) + whole[start + 7 :]
    short = whole[: len(whole) // 3] + b"\xff\xd9"
    for data in (tall, short) if "progressive" not in more else (tall,):  # of a later scan only detail is lost
        with pytest.raises(UnreadableFile) as caught:
            decode_picture(data)
        assert caught.value.reason == "truncated"


def test_alpha_is_composed_on_white(tmp_path: Path, drawing: np.ndarray) -> None:
    alpha = np.full((40, 60, 1), 255, np.uint8)
    alpha[:, :10] = 0
    alpha[:, 10:20] = 128
    Image.fromarray(np.concatenate([drawing, alpha], axis=2)).save(tmp_path / "alpha.png")
    pixels = read_picture(tmp_path / "alpha.png")
    assert (pixels[5, 5] == 255).all()
    assert np.allclose(pixels[5, 15], (255, 127, 127), atol=1)
    assert (pixels[5, 45] == (0, 0, 255)).all()


def test_palette_with_a_transparent_colour(tmp_path: Path, drawing: np.ndarray) -> None:
    palette = Image.fromarray(drawing).convert("P", palette=Image.Palette.ADAPTIVE)
    blue = palette.getpixel((45, 20))
    palette.save(tmp_path / "palette.png", transparency=blue)
    pixels = read_picture(tmp_path / "palette.png")
    assert (pixels[20, 45] == 255).all() and (pixels[20, 10] == (255, 0, 0)).all()


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16)[None].repeat(4, axis=0)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    pixels = read_picture(tmp_path / "deep.png")
    assert pixels.shape == (4, 256, 3)
    assert np.array_equal(pixels[0, :, 0], np.arange(256))


def test_cmyk_jpeg_and_webp_come_out_as_rgb(tmp_path: Path, drawing: np.ndarray) -> None:
    Image.fromarray(drawing).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    Image.fromarray(drawing).save(tmp_path / "web.webp", lossless=True)
    assert np.abs(read_picture(tmp_path / "print.jpg")[20, 10].astype(int) - (255, 0, 0)).max() < 12
    assert np.array_equal(read_picture(tmp_path / "web.webp"), drawing)


def test_colour_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    grey = np.full((8, 8, 3), 128, np.uint8)
    linear = ImageCms.ImageCmsProfile(io.BytesIO(_linear_profile()))
    Image.fromarray(grey).save(tmp_path / "linear.png", icc_profile=linear.tobytes())
    # Half the light is 188 of 255 in sRGB, where the values are not light but what the eye sees.
    assert np.abs(read_picture(tmp_path / "linear.png").astype(int) - 188).max() <= 2


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        ("empty.png", lambda data: b"", "empty"),
        ("cut.png", lambda data: data[: len(data) // 2], "truncated"),
        ("head.png", lambda data: data[:12], "truncated"),
        ("text.png", lambda data: b"not a picture at all, but words", "not-a-picture"),
        ("flipped.png", lambda data: data[:60] + bytes(b ^ 0x5A for b in data[60:160]) + data[160:], "unreadable"),
    ],
)
def test_damaged_files_say_why_in_one_word(tmp_path: Path, name: str, damage, reason: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    write_png(tmp_path / "good.png", noise)
    (tmp_path / name).write_bytes(damage((tmp_path / "good.png").read_bytes()))
    with pytest.raises(UnreadableFile) as caught:
        read_picture(tmp_path / name)
    assert caught.value.reason == reason
    assert name in str(caught.value)


@pytest.mark.parametrize("side", [11_000, 60_000])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    (tmp_path / "bomb.png").write_bytes(_png_header(side, side))
    for reader in (read_picture, picture_size):
        with pytest.raises(UnreadableFile) as caught:
            reader(tmp_path / "bomb.png")
        assert caught.value.reason == "too-large"


def test_missing_file_is_said_not_raised_raw(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_picture(tmp_path / "nothing.png")


def test_shrinking_averages_and_does_not_alias() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    small = resize(stripes, (32, 32))
    assert small.shape == (32, 32, 3)
    assert np.abs(small[4:-4, 4:-4].astype(int) - 128).max() <= 2
    assert resize(stripes, (256, 256)) is stripes


def test_resize_cuts_its_box_out_first(drawing: np.ndarray) -> None:
    right = resize(drawing, (10, 20), box=(30, 1, 60, 40))
    assert right.shape == (20, 10, 3) and (right == (0, 0, 255)).all()


def _png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = b""
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b"")):
        chunks += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunks


def _linear_profile() -> bytes:
    """A minimal ICC 2 matrix profile with the sRGB primaries and a gamma of 1."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(x: float, y: float, z: float) -> bytes:
        return b"XYZ \0\0\0\0" + fixed(x) + fixed(y) + fixed(z)

    text = b"desc\0\0\0\0" + struct.pack(">I", 7) + b"linear\0" + bytes(78)
    text += b"\0" * (-len(text) % 4)
    curve = b"curv\0\0\0\0\0\0\0\0"
    tags = {
        b"desc": text,
        b"cprt": b"text\0\0\0\0CC0\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.43607, 0.22249, 0.01392),
        b"gXYZ": xyz(0.38515, 0.71687, 0.09708),
        b"bXYZ": xyz(0.14307, 0.06061, 0.7141),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    body = struct.pack(">I", len(tags)) + table + body
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), b"\0" * 4, 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    return head.ljust(128, b"\0") + body


def short_png(rows: int, *, height: int = 20, width: int = 13, interlaced: bool = False) -> bytes:
    """A grey PNG whose stream ends properly after so many rows of zeros."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlaced)
    pixels = zlib.compress(bytes(rows * (1 + width)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_png_that_ends_properly_before_its_last_row_is_truncated() -> None:
    with pytest.raises(UnreadableFile) as caught:
        decode_picture(short_png(19), "short.png")
    assert caught.value.reason == "truncated"
    black = decode_picture(short_png(20))
    assert black.shape == (20, 13, 3) and not black.any()


def test_interlaced_pngs_are_measured_by_their_passes() -> None:
    # 5x5 in Adam7: passes of 1x1, 1x1, 2x1, 1x2, 3x1, 2x3, 5x2, each row with a byte for its filter.
    whole = (1 + 1) + (1 + 1) + (2 + 1) + 2 * (1 + 1) + (3 + 1) + 3 * (2 + 1) + 2 * (5 + 1)
    size = {"height": 5, "width": whole - 1, "interlaced": True}
    data = short_png(1, **size).replace(struct.pack(">II", whole - 1, 5), struct.pack(">II", 5, 5), 1)
    assert not lacks_pixels(data)
    size["width"] = whole - 2
    data = short_png(1, **size).replace(struct.pack(">II", whole - 2, 5), struct.pack(">II", 5, 5), 1)
    assert lacks_pixels(data)
