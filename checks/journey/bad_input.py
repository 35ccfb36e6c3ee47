"""Line 6: bad input ends in a sentence or a counted drop, and the rest is done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from checks.framework import Context, Figure, passed
from checks.journey import CHECK
from checks.shows import Ran, fullcast, make_show


@CHECK.line(6, "bad input: a clear sentence or a counted drop, and the rest of the run is done")
def bad_input(context: Context) -> Iterator[Figure]:
    (seed,) = context.seeds("journey-6", 1)
    files = make_show(context, seed, smallest=True)
    with tempfile.TemporaryDirectory(prefix="fullcast-bad-") as folder:
        workspace = Path(folder) / "workspace"
        shutil.copytree(files.workspace, workspace)
        shutil.rmtree(workspace / "data", ignore_errors=True)
        shutil.rmtree(workspace / "regularization", ignore_errors=True)
        expected = _spoil(workspace)
        context.say("preparing a workspace with bad files in it")
        ran = fullcast("prepare", "-w", workspace, "--json")
        yield passed("prepare goes on to its end", ran.code == 0, ran.told if ran.code else "")
        if ran.code == 0:
            drops = {Path(d["item"]).name: d for d in ran.data["drops"]}
            for name, what in expected.items():
                told = drops.get(name)
                note = f"{told['reason']}: {told['detail']}" if told else "it is not among the drops"
                yield passed(f"{what}: a counted drop", told is not None, note)
            yield passed("the rest of the run is done", bool(ran.data["people"]) and ran.data["pictures"] != {})
        (workspace / "fullcast.toml").write_text('[training]\nlearning_rat = "1e-5"\n', encoding="utf-8")
        ran = fullcast("plan", "-w", workspace)
        yield _one_sentence("an unknown key in the TOML", ran, "learning_rat")
        ran = fullcast("plan", "-w", Path(folder) / "nowhere")
        yield _one_sentence("a workspace that is none", ran, "nowhere")


def _spoil(workspace: Path) -> dict[str, str]:
    """Puts bad files into a workspace; file name -> what it is."""
    from PIL import Image

    episodes, fanart = workspace / "episodes", workspace / "fanart"
    whole = next(iter(sorted(episodes.glob("*.mp4")))).read_bytes()
    (episodes / "cut-off.mp4").write_bytes(whole[: len(whole) // 2])
    (episodes / "a-text.mp4").write_text("This is not a film.\n", encoding="utf-8")
    fanart.mkdir(exist_ok=True)
    (fanart / "no-bytes.png").write_bytes(b"")
    Image.MAX_IMAGE_PIXELS = None
    # 400 megapixels in some hundred kilobytes.
    Image.new("L", (20_000, 20_000)).save(fanart / "bomb.png", compress_level=9)
    (workspace / "references" / "nobody").mkdir(parents=True)
    return {
        "cut-off.mp4": "a truncated mp4",
        "a-text.mp4": "a text file named .mp4",
        "no-bytes.png": "a zero-byte PNG",
        "bomb.png": "a decompression bomb",
        "nobody": "a reference folder without pictures",
    }


def _one_sentence(what: str, ran: Ran, word: str) -> Figure:
    """Exit code 2, no traceback, one line that names what was given."""
    lines = [line for line in ran.err.strip().splitlines() if line.strip()]
    clear = ran.code == 2 and "Traceback" not in ran.err and len(lines) <= 2 and word in ran.err
    return passed(f"{what}: one clear sentence, exit code 2", clear, ran.told)
