"""A checkpoint as others get it: nothing in it names a place on the machine where it was trained."""

from __future__ import annotations

from pathlib import Path

from fullcast.journey import Journey, new_workspace
from fullcast.journey.run_facts import hide_places
from fullcast.recipe import make_recipe, read_recipe, write_recipe
from fullcast.recognition.castfile import write_cast
from fullcast.records import Cast, Character

MODELS = {"base": "/home/me/models/anime.safetensors", "detector": "/home/me/person.onnx + heads/head.onnx"}


def test_an_exported_checkpoint_names_its_base_without_its_place(tmp_path: Path) -> None:
    new_workspace(tmp_path / "w")
    checkpoint = tmp_path / "w" / "data" / "runs" / "x"
    checkpoint.mkdir(parents=True)
    (checkpoint / "model_index.json").write_text("{}")
    write_cast(checkpoint / "cast.json", Cast("show", (Character("aoi", "aoi"),)))
    write_recipe(checkpoint / "fullcast.toml", make_recipe({"models": MODELS}))
    Journey.open(tmp_path / "w").export("checkpoint", tmp_path / "out", checkpoint="data/runs/x")
    assert "/home/me" not in (tmp_path / "out" / "fullcast.toml").read_text(encoding="utf-8")
    models = read_recipe(tmp_path / "out" / "fullcast.toml").models
    assert models.base == "anime.safetensors" and models.detector == "person.onnx+ heads/head.onnx"
    assert read_recipe(checkpoint / "fullcast.toml").models.base == MODELS["base"], "the run keeps its own"


def test_a_recipe_without_places_stays_as_it_is(tmp_path: Path) -> None:
    hub = "hf:deepghs/ccip_onnx/ccip-caformer_b36-24"
    for base in ("pocket", "models/base", r"C:\models\x", "/hub/models--owner--name/snapshots/1a"):
        write_recipe(tmp_path / "r.toml", make_recipe({"models": {"base": base, "embedder": hub}}))
        before = (tmp_path / "r.toml").read_bytes()
        hide_places(tmp_path / "r.toml")
        models = read_recipe(tmp_path / "r.toml").models
        shown = {r"C:\models\x": "x", "/hub/models--owner--name/snapshots/1a": "owner/name"}.get(base, base)
        assert (models.base, models.embedder) == (shown, hub)
        assert ((tmp_path / "r.toml").read_bytes() == before) == (shown == base)
