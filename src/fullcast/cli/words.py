"""What the command line makes of words: settings given as options, and what the system refused."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from itertools import pairwise

from cyclopts import App, UnknownOptionError

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
            value, taken = _value_of(name, words[position] if position < len(words) else None)
            position += taken
        spelt.append(f"--set={name[2:]}={value}")
    return spelt


def _value_of(option: str, following: str | None) -> tuple[str, bool]:
    """The value of a setting that is spelt without =, and whether the following word is it.

    To name a setting that is true or false is to say true; only true or false after it is its value, for any other
    word may be the verb's own. FullcastError where the value is missing.
    """
    from fullcast.recipe import setting_type

    kind = setting_type(option[2:])
    if kind is bool:
        return (following, True) if following in ("true", "false") else ("true", False)
    if following is not None and not re.match("--|-[A-Za-z]", following):
        return following, True
    if kind is None:
        return "true", False  # the recipe says what it is called
    raise FullcastError(f"{option}: give a value, as in {option} VALUE or {option}=VALUE")


def pairs(settings: Sequence[str]) -> dict[str, str]:
    """{"training.learning-rate": "1e-5"} of what was given with --set."""
    found = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise FullcastError(f"--set {setting}: give a name and a value, as in --set training.learning-rate=1e-5")
        found[name] = value
    return found


def takes_settings(command: App) -> bool:
    """Whether a verb, or one of its own verbs, has --set."""
    run = command.default_command
    if run is not None and "settings" in inspect.signature(run).parameters:
        return True
    return any(takes_settings(command[name]) for name in command if not name.startswith("-"))


def misplaced_setting(error: UnknownOptionError, words: Sequence[str]) -> FullcastError | None:
    """What to do with a setting that stands where none is taken, or without its --set; None: it is no setting."""
    from fullcast.recipe import top_level_settings

    option = error.token.keyword or error.token.value or ""
    name = option.removeprefix("--").replace("-", "_")
    top = name in top_level_settings()
    if not top and option != "--set":
        return None
    verb, run = " ".join(error.command_chain or ()), error.target
    if run is None or "settings" in inspect.signature(run).parameters:
        after = (two for one, two in pairwise([*words, "VALUE"]) if one == option)
        given = next((word.partition("=")[2] for word in words if word.startswith(f"{option}=")), None) or next(after)
        return FullcastError(
            f"{option} is a setting at the top level of fullcast.toml: give it as --set {name}={given}"
        )
    return FullcastError(f"{verb} takes no settings: write it into fullcast.toml")


def cannot_be_opened(error: OSError) -> FullcastError:
    """A file or folder that the system refused, in one sentence."""
    place = error.filename2 or error.filename
    return FullcastError(f"{place}: {error.strerror}; see that it can be read and written there, or give another place")


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
