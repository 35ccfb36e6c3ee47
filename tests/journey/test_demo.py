"""The demo draws over nothing that it did not draw itself, and knows a show that was only begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from fullcast.journey import new_workspace
from fullcast.journey.demo import demo, make_pocket_show
from fullcast.pocket import show
from fullcast.recipe import find_preset, read_recipe
from fullcast.store.errors import FullcastError


class Drawn(Exception):
    """The show was drawn, or was about to be."""


def stopped(root: Path, seed: int, *rest: object) -> None:
    (root / "references" / "aoi").mkdir(parents=True)
    raise KeyboardInterrupt


def counted(root: Path, seed: int, *rest: object) -> None:
    raise Drawn(seed)


@pytest.mark.parametrize(
    "given", ["references/aoi/1.png", "episodes/ep01.mp4", "truth.parquet", "data/runs/x/state.json"]
)
@pytest.mark.parametrize("made", [True, False])
def test_a_folder_of_somebodys_own_is_not_drawn_over(
    given: str, made: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "make_show", counted)
    if made:
        new_workspace(tmp_path, "my show")
    (tmp_path / given).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / given).write_bytes(b"mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FullcastError, match=f"holds {given} and no show of a demo"):
        demo(tmp_path, preset="smallest")
    assert sorted(tmp_path.rglob("*")) == before and (tmp_path / given).read_bytes() == b"mine"


def test_a_pocket_show_is_drawn_in_the_style_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(root: Path, seed: int, settings: show.ShowSettings, *rest: object) -> None:
        raise Drawn(settings.style)

    monkeypatch.setattr(show, "make_show", drawn)
    for asked, style in (("micah", "micah"), ("", "toon-head")):
        with pytest.raises(Drawn, match=style):
            make_pocket_show(tmp_path / "show", 1, style=asked)


def test_an_empty_workspace_is_drawn_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "make_show", counted)
    new_workspace(tmp_path)
    (tmp_path / "references" / ".DS_Store").touch()
    with pytest.raises(Drawn):
        demo(tmp_path, preset="smallest")


def test_a_show_that_was_begun_is_drawn_again_by_its_own_seed_and_size_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "make_show", stopped)
    with pytest.raises(KeyboardInterrupt):
        demo(tmp_path / "d", seed=1, preset="smallest")
    monkeypatch.setattr(show, "make_show", counted)
    for seed, preset in ((2, "smallest"), (1, "demo")):
        with pytest.raises(FullcastError, match="holds the begun show of seed 1"):
            demo(tmp_path / "d", seed=seed, preset=preset)
    with pytest.raises(Drawn):
        demo(tmp_path / "d", seed=1, preset="smallest")


def test_fewer_steps_where_bfloat16_is_not_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "make_show", counted)
    steps = {}
    for fast in (True, False):
        monkeypatch.setattr("fullcast.models.torch_device.fast_bf16", lambda device, fast=fast: fast)
        with pytest.raises(Drawn):
            demo(tmp_path / str(fast), preset="demo")
        steps[fast] = read_recipe(tmp_path / str(fast) / "fullcast.toml").mixture.num_steps
    assert steps == {True: read_recipe(find_preset("demo")).mixture.num_steps, False: 210}
