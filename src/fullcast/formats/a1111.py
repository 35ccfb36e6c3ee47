"""The text that AUTOMATIC1111's web UI writes into a PNG under ``parameters``, written and read.

    prompt, of one line or more
    Negative prompt: of one line or more
    Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 965400086, Size: 512x512, Model hash: 45dee52b, Model: name

The last line counts as settings only if it has three pairs or more. A value with a comma, a colon or a line break is
quoted as JSON. Behaviour as `reference/trainers.md` section 4 states it; other UIs and sites read the same text.
Our own record stands beside it in a chunk of its own, so that no parser of that text ever meets it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from fullcast.records import Picture
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import read_png_text
from fullcast.store.tables import from_plain, to_plain

PARAMETERS = "parameters"
"""Name of the PNG text chunk that every UI knows."""

RECORD = "fullcast"
"""Name of ours: the `Picture` as JSON."""

MIN_PAIRS = 3
NEGATIVE = "Negative prompt:"
_PAIR = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')

SAMPLERS = {
    "DDIMScheduler": "DDIM",
    "DDPMScheduler": "DDPM",
    "DPMSolverMultistepScheduler": "DPM++ 2M",
    "EulerDiscreteScheduler": "Euler",
    "EulerAncestralDiscreteScheduler": "Euler a",
    "HeunDiscreteScheduler": "Heun",
    "LMSDiscreteScheduler": "LMS",
    "PNDMScheduler": "PLMS",
    "UniPCMultistepScheduler": "UniPC",
}
"""diffusers' class to the UI's name; others keep the class's name."""


@dataclass(frozen=True)
class Parameters:
    """What the text says. Lines are stripped; the order of the settings is kept."""

    prompt: str
    negative_prompt: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) in pixels."""
        match = re.fullmatch(r"(\d+)x(\d+)", self.settings.get("Size", ""))
        return (int(match[1]), int(match[2])) if match else None


def format_parameters(parameters: Parameters) -> str:
    """The text; `parse_parameters` gives the same parameters back. Raises `FullcastError` for what it cannot hold."""
    if 0 < len(parameters.settings) < MIN_PAIRS:
        raise FullcastError(
            f"the settings line needs {MIN_PAIRS} pairs to be read as one; got {len(parameters.settings)}"
        )
    lines = [parameters.prompt]
    if parameters.negative_prompt:
        lines.append(f"{NEGATIVE} {parameters.negative_prompt}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in parameters.settings.items()))
    text = "\n".join(lines) if parameters.settings else "\n".join(lines[:-1])
    if parse_parameters(text) != Parameters(
        _stripped(parameters.prompt), _stripped(parameters.negative_prompt), {**parameters.settings}
    ):
        raise FullcastError(
            f"this prompt cannot be written as {PARAMETERS}: no line of it may begin with {NEGATIVE!r} or look like a "
            f"line of settings, and names of settings are letters, digits, blanks, - and /"
        )
    return text


def parse_parameters(text: str) -> Parameters:
    """Prompt, negative prompt and settings of a ``parameters`` text, from whichever UI."""
    lines = text.strip().split("\n")
    pairs = _PAIR.findall(lines[-1])
    settings = {}
    if len(pairs) >= MIN_PAIRS:
        settings = {key: _unquoted(value) for key, value in pairs}
        lines = lines[:-1]
    prompt: list[str] = []
    negative: list[str] = []
    part = prompt
    for line in map(str.strip, lines):
        if line.startswith(NEGATIVE):
            part = negative
            line = line.removeprefix(NEGATIVE).strip()
        part.append(line)
    return Parameters("\n".join(prompt).strip(), "\n".join(negative).strip(), settings)


def parameters_of(picture: Picture) -> Parameters:
    """A picture of ours in the UI's words."""
    settings = {
        "Steps": str(picture.num_inference_steps),
        "Sampler": SAMPLERS.get(picture.scheduler, picture.scheduler),
        "CFG scale": f"{picture.guidance_scale:g}",
        "Seed": str(picture.seed),
        "Size": f"{picture.width}x{picture.height}",
        "Model hash": picture.checkpoint_sha256[:10],
        "Model": PurePath(picture.checkpoint).stem,
        "Version": "fullcast",
    }
    return Parameters(
        _stripped(picture.prompt), _stripped(picture.negative_prompt), {key: v for key, v in settings.items() if v}
    )


def png_text(picture: Picture) -> dict[str, str]:
    """The text chunks of one of our PNGs: what every UI reads, and the whole record; for `store.pictures.write_png`."""
    record = json.dumps(to_plain(picture), ensure_ascii=False, sort_keys=True)
    return {PARAMETERS: format_parameters(parameters_of(picture)), RECORD: record}


def read_parameters(path: Path, *, before_pixels: bool = False) -> Parameters | None:
    """What a PNG says of itself; None if it says nothing. `before_pixels`: as in `store.pictures.read_png_text`."""
    text = read_png_text(path, before_pixels=before_pixels).get(PARAMETERS)
    return None if text is None else parse_parameters(text)


def read_record(path: Path) -> Picture | None:
    """The record in one of our PNGs; None in those of others."""
    text = read_png_text(path, before_pixels=True).get(RECORD)
    return None if text is None else from_plain(Picture, json.loads(text))


def _stripped(prompt: str) -> str:
    return "\n".join(line.strip() for line in prompt.strip().split("\n"))


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search(r'[,:\n"]', value) or value != value.strip() else value


def _unquoted(value: str) -> str:
    if value.startswith('"') and value.endswith('"') and len(value) > 1:
        try:
            return str(json.loads(value))
        except json.JSONDecodeError:
            return value
    return value.strip()
