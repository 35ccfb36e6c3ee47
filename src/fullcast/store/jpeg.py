"""Are a JPEG's rows all there? Pillow reports a file that is cut off, but not one that ends properly and too early:
where data end before the picture, libjpeg goes on with the last colour and says nothing.

So whatever follows the data is seen in what is missing, and in nothing else. Markers: ITU-T T.81, table B.1.
"""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image, ImageChops

_SCAN, _END, _RESTART_INTERVAL = 0xDA, 0xD9, 0xDD
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""What ends a scan: 0xFF00 is a byte of its data, and restarts are inside it."""
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_MORE = bytes(range(7, 250, 5)) * 4
"""Codes of any table, which move the colour that libjpeg goes on with; 0xFF would begin a marker."""
_ROWS_TOGETHER = 32
"""Rows that are coded together, at most: what is lost of the last of them alone is not seen."""


def lacks_rows(image: Image.Image, data: bytes) -> bool:
    """Does the JPEG `data`, decoded as `image`, hold less than its header says?

    Decodes it once more, but only where the last row is of one colour. False for what cannot be walked through.
    """
    last = np.asarray(image.crop((0, image.height - 1, image.width, image.height)))[0]
    longer = _with_more(data) if (last == last[0]).all() else None
    if longer is None:
        return False
    try:
        with Image.open(io.BytesIO(longer)) as other:
            other.load()
            changed = ImageChops.difference(image, other).getbbox()
    except (OSError, ValueError):
        return True  # a whole picture is decoded before what follows it
    return changed is not None and changed[1] < image.height - _ROWS_TOGETHER


def _with_more(data: bytes) -> bytes | None:
    """The file with codes after the end of each scan, which a whole picture never comes to."""
    parts: list[bytes] = []
    done, at, has_restarts = 0, 2, False
    while True:
        while data[at : at + 2] == b"\xff\xff":  # fill bytes
            at += 1
        if at + 2 > len(data) or data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == _END:
            return b"".join((*parts, data[done:]))
        content = data[at + 4 : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
        at += 4 + len(content)
        if marker == _RESTART_INTERVAL:
            has_restarts = any(content)
        elif marker == _SCAN:
            end = _MARKER.search(data, at)
            if end is None:
                return None
            restarts = len(_RESTART.findall(data, at, end.start()))
            at = end.start()
            parts += [data[done:at], _more(restarts if has_restarts else None)]
            done = at


def _more(restarts: int | None) -> bytes:
    """Codes to go on with; after so many restarts each of the next eight begins anew, which come in turn."""
    if restarts is None:
        return _MORE
    return b"".join(bytes((0xFF, 0xD0 + (restarts + n) % 8)) + _MORE for n in range(8))
