"""What the command line makes of words: settings given as options, and modules that are not installed."""

from __future__ import annotations

from collections.abc import Sequence

from fullcast.store.errors import FullcastError


def spell_settings(words: Sequence[str]) -> list[str]:
    """The same command line with ``--training.learning-rate 1e-5`` spelt ``--set training.learning-rate=1e-5``."""
    spelt: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        name, equals, value = word.partition("=")
        if not (name.startswith("--") and "." in name):
            spelt.append(word)
            continue
        if not equals:
            value = "true"
            if position < len(words) and not words[position].startswith("--"):
                value = words[position]
                position += 1
        spelt.append(f"--set={name[2:]}={value}")
    return spelt


def pairs(settings: Sequence[str]) -> dict[str, str]:
    """{"training.learning-rate": "1e-5"} of what was given with --set."""
    found = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise FullcastError(f"--set {setting}: give a name and a value, as in --set training.learning-rate=1e-5")
        found[name] = value
    return found


def missing_extra(error: ModuleNotFoundError) -> FullcastError:
    """Which extra brings the module that is not installed."""
    module = (error.name or "").split(".")[0]
    extras = {
        "prepare": ("av", "onnxruntime", "scipy", "sklearn", "yaml"),
        "train": ("torch", "diffusers", "transformers", "safetensors", "peft", "accelerate"),
        "pocket": ("dicebear", "dicebear_styles", "resvg_py"),
        "report": ("matplotlib", "duckdb"),
    }
    for extra, modules in extras.items():
        if module in modules:
            less = " (fullcast[generate] is enough to draw)" if extra == "train" and module != "peft" else ""
            return FullcastError(
                f"this needs {module}, which is not installed; run: pip install 'fullcast[{extra}]'{less}"
            )
    raise error
