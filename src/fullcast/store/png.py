"""Are a PNG's pixels all there? Pillow reports a stream that is cut off, but not one that ends properly and too early:
the rows that are missing come out as zeros."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Numbers per pixel by colour type (PNG specification, 11.2.2)."""
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""(first column, first row, columns apart, rows apart) of each pass of an interlaced picture (8.2)."""
_PIECE = 1 << 20


def lacks_pixels(data: bytes) -> bool:
    """Does the PNG's stream hold less than its header says? False for what cannot be read as PNG at all."""
    chunks = _chunks(data)
    name, header = next(chunks, (b"", b""))
    if name != b"IHDR" or len(header) != 13:
        return False
    missing = _length(header)
    packer = zlib.decompressobj()
    try:
        for name, content in chunks:
            if name != b"IDAT":
                continue
            while content and missing > 0:
                missing -= len(packer.decompress(content, _PIECE))
                content = packer.unconsumed_tail
            if missing <= 0:
                return False
        return missing - len(packer.flush()) > 0
    except zlib.error:
        return False  # damaged: Pillow says so


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, content) of each chunk that is whole."""
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _length(header: bytes) -> int:
    """Bytes of the inflated stream: each row of each pass has one for its filter."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS.get(colour, 1)
    total = 0
    for x, y, across, down in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total
