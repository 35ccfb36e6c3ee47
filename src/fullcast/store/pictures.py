"""The one reader and writer of pictures: every array in Fullcast is (height, width, 3) uint8 sRGB, decided here.

Decided once, for every room:

* EXIF rotation is applied (EXIF that cannot be read turns nothing), an embedded ICC profile is converted to sRGB, alpha
  is composed on white (fan art with a transparent background is drawn for white pages; masks are read on black), 16 bit
  and grey pictures become 8 bit RGB;
* of an animation the first picture counts;
* the header is read before the pixels: more than `MAX_PIXELS` is refused without being decoded.
"""

from __future__ import annotations

import hashlib
import io
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from fullcast.records import Box
from fullcast.store.atomic import replacing
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.jpeg import lacks_rows
from fullcast.store.png import lacks_pixels

PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jxl"}
)
"""What a folder scan takes for a picture; whether it is one, `read_picture` says."""

MAX_PIXELS = 100_000_000
"""100 megapixels: 300 MB as RGB. The largest scans on art sites are near 60; bombs are far above."""

ID_LENGTH = 20
"""Hex digits of sha256 that name a file: 80 bits, so that a billion files collide with a chance below 1e-6."""

# Zlib level 4: on 1280x720 drawings within 3 % of the size of level 6 at half its time.
_PNG_LEVEL = 4

# The first bytes of formats that we can read: a file that has them and cannot be opened was cut off.
_MAGICS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")

# Everything that Pillow's decoders were seen to raise on damaged files.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)

# EXIF's numbers for orientation (JEITA CP-3451, 4.6.4 A) to what undoes them.
_TURNS: dict[object, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_SRGB = ImageCms.createProfile("sRGB")


def read_picture(path: Path, *, behind: str = "white") -> np.ndarray:
    """The picture at `path` as (H, W, 3) uint8 sRGB, upright; `behind`: the colour behind what is clear (alpha).

    Raises `UnreadableFile` with reason ``empty``, ``truncated``, ``too-large``, ``not-a-picture`` or ``unreadable``.
    """
    try:
        if path.stat().st_size == 0:
            raise UnreadableFile(path, "empty", "the file has no bytes")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(path, "unreadable", f"cannot be read ({error.strerror or error})") from error
    return decode_picture(data, path, behind=behind)


def decode_picture(data: bytes, name: object = "picture", *, behind: str = "white") -> np.ndarray:
    """The same for the bytes of a file; `name` is what errors call it."""
    if not data:
        raise UnreadableFile(name, "empty", "the file has no bytes")
    try:
        with Image.open(io.BytesIO(data)) as image:
            _check_size(image, name)
            image.load()
            _check_rows(image, data, name)
            return _to_rgb(_upright(image), behind)
    except UnreadableFile:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableFile(name, "too-large", f"more than {MAX_PIXELS // 10**6} megapixels") from error
    except UnidentifiedImageError as error:
        if data.startswith(_MAGICS) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
            raise UnreadableFile(name, "truncated", "the picture's header is damaged or cut off") from error
        raise UnreadableFile(name, "not-a-picture", "not a picture in a format that can be read") from error
    except _DECODE_ERRORS as error:
        reason = "truncated" if "truncated" in str(error).lower() or isinstance(error, EOFError) else "unreadable"
        raise UnreadableFile(name, reason, f"{reason}: {error}") from error


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) after EXIF rotation, from the header alone; raises as `read_picture` does."""
    try:
        with Image.open(path) as image:
            _check_size(image, path)
            width, height = image.size
            return (height, width) if _orientation(image) in (5, 6, 7, 8) else (width, height)
    except UnreadableFile:
        raise
    except (Image.DecompressionBombError, *_DECODE_ERRORS):
        read_picture(path)  # raises with the exact reason
        raise


def write_png(path: Path, array: np.ndarray, text: Mapping[str, str] | None = None) -> None:
    """Write (H, W, 3) uint8 RGB as PNG, atomically; `text` becomes tEXt, or iTXt where it is not Latin-1.

    The same array and text give the same bytes.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(encode_png(array, text))


def encode_png(array: np.ndarray, text: Mapping[str, str] | None = None) -> bytes:
    """The bytes that `write_png` writes; (H, W) uint8 is written as grey (masks)."""
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise FullcastError(f"a picture is (H, W, 3) uint8 RGB; got {array.shape} {array.dtype}")
    info = PngInfo()
    for name, value in (text or {}).items():
        info.add_text(name, value)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(buffer, "PNG", compress_level=_PNG_LEVEL, pnginfo=info)
    return buffer.getvalue()


def read_png_text(path: Path, *, before_pixels: bool = False) -> dict[str, str]:
    """The text chunks of a PNG, wherever in the file they stand; empty for a PNG without and for other formats.

    `before_pixels`: only those where `write_png` puts them; pixels are not decoded (512 x 512: 0.1 ms, not 80).
    """
    try:
        with Image.open(path) as image:
            _check_size(image, path)
            if before_pixels:
                told = image.info if image.format == "PNG" else {}
                return {str(name): value for name, value in told.items() if isinstance(value, str)}
            return {name: str(value) for name, value in getattr(image, "text", {}).items()}
    except (Image.DecompressionBombError, *_DECODE_ERRORS) as error:
        if isinstance(error, UnreadableFile):
            raise
        raise UnreadableFile(path, "unreadable", f"its text cannot be read: {error}") from error


def resize(array: np.ndarray, size: tuple[int, int], box: Box | None = None) -> np.ndarray:
    """(H, W, 3) or (H, W) uint8 to (height, width) given as `size` = (width, height); the one resampler.

    `box` (xyxy in pixels, floats allowed, inside the picture) is cut out first, at no cost in sharpness.
    Lanczos with its support grown by the factor of shrinking, so that it averages areas and does not alias;
    `reducing_gap` 3 first halves by whole numbers and is indistinguishable (Pillow's manual) and faster.
    """
    width, height = size
    if (width, height) == (array.shape[1], array.shape[0]) and box is None:
        return array
    if width < 1 or height < 1:
        raise FullcastError(f"a picture cannot be resized to {width}x{height}: both sides must be at least 1")
    if box is not None:  # cut at whole pixels first: the kernel must not reach over the box's edge
        left, top = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
        array = array[top : math.ceil(box[3]), left : math.ceil(box[2])]
        box = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    image = Image.fromarray(np.ascontiguousarray(array))
    gap = 3.0 if width < array.shape[1] and height < array.shape[0] else None
    return np.array(image.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=gap))


def file_id(path: Path) -> str:
    """First 20 hex digits of the file's sha256: the name of a file whatever it is called.

    Raises `UnreadableFile` with reason ``unreadable``.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UnreadableFile(path, "unreadable", f"cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()[:ID_LENGTH]


def bytes_id(data: bytes) -> str:
    """`file_id` of a file with these bytes."""
    return hashlib.sha256(data).hexdigest()[:ID_LENGTH]


def _check_size(image: Image.Image, name: object) -> None:
    if image.width * image.height > MAX_PIXELS:
        limit = MAX_PIXELS // 10**6
        raise UnreadableFile(name, "too-large", f"{image.width}x{image.height} is more than {limit} megapixels")


def _check_rows(image: Image.Image, data: bytes, name: object) -> None:
    """PNGs whose last row is empty, and JPEGs where it is of one colour, are asked whether their rows are all there."""
    last = image.crop((0, image.height - 1, image.width, image.height))
    lacking = image.format == "PNG" and last.getbbox(alpha_only=False) is None and lacks_pixels(data)
    if lacking or (image.format in ("JPEG", "MPO") and lacks_rows(image, data)):
        raise UnreadableFile(name, "truncated", "truncated: the file holds fewer rows than its header says")


def _upright(image: Image.Image) -> Image.Image:
    """Turned and mirrored as EXIF says."""
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> object:
    """EXIF's number for how the picture is to be turned; 1, not at all, where EXIF cannot be read."""
    try:
        return image.getexif().get(0x0112, 1)
    except _DECODE_ERRORS:
        return 1


def _to_rgb(image: Image.Image, behind: str) -> np.ndarray:
    """Any of Pillow's modes to (H, W, 3) uint8 sRGB on the colour `behind`."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_grey8(image)
    if image.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colour = image.convert("RGB") if alpha is not None else image
    colour = _to_srgb(colour, profile)
    if alpha is not None:
        colour = Image.composite(colour, Image.new("RGB", colour.size, behind), alpha)
    return np.array(colour)


def _to_grey8(image: Image.Image) -> Image.Image:
    """16 bit, 32 bit and float grey to 8 bit: 65535 becomes 255; floats in [0, 1] are stretched to 255."""
    values = np.asarray(image, dtype=np.float64)
    peak = values.max(initial=0.0)
    scale = 1 / 257 if image.mode.startswith("I") and peak > 255 else 255.0 if image.mode == "F" and peak <= 1 else 1.0
    if image.mode.startswith("I;16"):
        scale = 1 / 257
    return Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB, CMYK or grey with its profile to sRGB; a profile that cannot be used is passed over, as browsers do."""
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, _SRGB, outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return image.convert("RGB")
