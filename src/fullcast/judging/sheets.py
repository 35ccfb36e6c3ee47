"""Contact sheets: many pictures on one, each with its words below, for cards that show plain pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fullcast.judging.report_data import Shown
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import read_picture

MARGIN, LINE, TEXT_PX = 10, 16, 12
INK, GOOD, BAD = (28, 29, 34), (22, 121, 76), (184, 40, 63)


def contact_sheet(shown: Sequence[Shown], root: Path, columns: int = 4, cell_px: int = 320) -> np.ndarray | None:
    """(H, W, 3) uint8: the pictures in rows, each ``cell_px`` wide, names and failures written below.

    Pictures smaller than a cell are enlarged smoothly. Unreadable ones are passed over; None when none is left.
    """
    tiles = [tile for tile in (_tile(one, root, cell_px) for one in shown) if tile is not None]
    if not tiles:
        return None
    columns = min(columns, len(tiles))
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) for row in rows]
    size = (columns * (cell_px + MARGIN) + MARGIN, sum(heights) + MARGIN * (len(rows) + 1))
    sheet = Image.new("RGB", size, "white")
    y = MARGIN
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            sheet.paste(tile, (MARGIN + column * (cell_px + MARGIN), y))
        y += height + MARGIN
    return np.array(sheet)


def _tile(shown: Shown, root: Path, width: int) -> Image.Image | None:
    """The picture at the cell's width with its lines of text."""
    try:
        array = read_picture(root / shown.path)
    except UnreadableFile:
        return None
    height = max(1, round(array.shape[0] * width / array.shape[1]))
    picture = Image.fromarray(array).resize((width, height), Image.Resampling.LANCZOS)
    lines = _lines(shown, width)
    tile = Image.new("RGB", (width, height + LINE * len(lines) + (4 if lines else 0)), "white")
    tile.paste(picture, (0, 0))
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default(TEXT_PX)
    for i, line in enumerate(lines):
        x = 0.0
        for text, color in line:
            draw.text((x, height + 4 + LINE * i), text, fill=color, font=font)
            x += font.getlength(text)
    return tile


Word = tuple[str, tuple[int, int, int]]


def _lines(shown: Shown, width: int) -> list[list[Word]]:
    """Names (green where found, red where not), caption, failures; wrapped to the width."""
    names = [(f"{badge.text}  ", GOOD if badge.tone == "good" else BAD) for badge in shown.badges]
    caption = [(f"{word} ", INK) for word in shown.caption.split()]
    note = [(f"{word} ", BAD) for word in shown.note.split()]
    return [line for words in (names, caption, note) for line in _wrap(words, width)]


def _wrap(words: list[Word], width: int) -> list[list[Word]]:
    font = ImageFont.load_default(TEXT_PX)
    lines: list[list[Word]] = []
    used = 0.0
    for word in words:
        length = font.getlength(word[0])
        if not lines or used + length > width:
            lines.append([])
            used = 0.0
        lines[-1].append(word)
        used += length
    return lines
