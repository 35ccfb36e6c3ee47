"""The first pictures of a judgement, unpicked: a row for each number of people, green where the judge found all right.

`python -m benchmarks.first_scenes WORKSPACE JUDGED SERIES OUT.jpg`: JUDGED is a judgement's folder (data/judging/page
of the workspace, or what `fullcast judge --out` said), SERIES a series' name on its page. The pictures of the docs.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from PIL import Image, ImageOps

from fullcast.judging.rows import Row, read_rows

EACH, WIDTH, FRAME, GAP = 5, 288, 3, 4
RIGHT, WRONG = "#1a9a3a", "#d22a1e"
QUALITY = 90


def first_scenes(workspace: Path, rows: list[Row]) -> Image.Image:
    """EACH pictures of each number of people, in the order in which they were judged."""
    by_number: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_number[row.num_people].append(row)
    lines = [[_framed(workspace, row) for row in by_number[n][:EACH]] for n in sorted(by_number)]
    wide, high = (side + GAP for side in lines[0][0].size)
    sheet = Image.new("RGB", (EACH * wide - GAP, len(lines) * high - GAP), "white")
    for y, line in enumerate(lines):
        for x, picture in enumerate(line):
            sheet.paste(picture, (x * wide, y * high))
    return sheet


def _framed(workspace: Path, row: Row) -> Image.Image:
    picture = Image.open(workspace / row.path).convert("RGB")
    drawn = picture.resize((WIDTH, round(WIDTH * picture.height / picture.width)), Image.Resampling.LANCZOS)
    return ImageOps.expand(drawn, FRAME, RIGHT if row.verdict.success else WRONG)


def main(workspace: Path, judged: Path, series: str, out: Path) -> None:
    rows = read_rows(judged / "judge.parquet")
    chosen = [row for row in rows if row.series == series]
    if not chosen:
        raise SystemExit(f"there is no series {series!r}; there are: {sorted({row.series for row in rows})}")
    first_scenes(workspace, chosen).save(out, quality=QUALITY)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
