"""The best of several pictures and repairs: what is given is what those that labelled take for the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fullcast.cli import main
from fullcast.generation.repair import Repaired
from fullcast.journey import Journey, making, new_workspace
from fullcast.journey.choosing import scorer_of
from fullcast.journey.doors import Doors
from fullcast.recognition.castfile import write_cast
from fullcast.records import Cast, Character, Found, Picture, Scene
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import read_picture, write_png

CAST = Cast("test", (Character("aoi", "aoi"), Character("mio", "mio")))
RIGHT, HALF, EMPTY = 200, 120, 40
"""Grey of pictures with both, with aoi and a stranger, with nobody."""


class Grey:
    """Sees in a picture what its grey stands for."""

    name, cast = "grey", CAST

    def look(self, images: Sequence[np.ndarray]) -> list[list[Found]]:
        return [self._figures(int(image[0, 0, 0])) for image in images]

    def _figures(self, grey: int) -> list[Found]:
        if grey == EMPTY:
            return []
        other = ("mio", (0.1, 0.8)) if grey == RIGHT else ("unknown", (0.1, 0.2))
        seen = [("aoi", (0.8, 0.1)), other]
        return [
            Found(
                *((8.0 + 32 * i, 8.0, 32.0 + 32 * i, 60.0), (10.0 + 32 * i, 8.0, 28.0 + 32 * i, 30.0), 0.9),
                *(who, "", max(scores), 0.3),
                scores=scores,
            )
            for i, (who, scores) in enumerate(seen)
        ]


def picture(path: Path, grey: int, scene: Scene, seed: int) -> Picture:
    write_png(path, np.full((64, 96, 3), grey, np.uint8))
    return Picture(
        *(f"{scene.id}-{seed}", path.name, scene, scene.prompt),
        negative_prompt="",
        seed=seed,
        width=96,
        height=64,
        num_inference_steps=1,
        guidance_scale=1.0,
        scheduler="ddim",
        checkpoint="x",
    )


@pytest.fixture()
def journey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journey:
    """Its model draws greys by seed; its scorer knows what they stand for."""
    new_workspace(tmp_path / "show", "show")

    def draw(model: Any, scenes: list[Scene], cast: Cast, config: Any, out: Path, **given: Any) -> list[Picture]:
        greys = [EMPTY, HALF, RIGHT, EMPTY, HALF, HALF]
        return [
            picture(out / f"{scenes[0].id}-{k}.png", greys[k], scenes[0], k) for k in range(int(given["num_pictures"]))
        ]

    monkeypatch.setattr("fullcast.generation.generate.generate", draw)
    monkeypatch.setattr(making, "open_model", lambda j, folder: SimpleNamespace())
    monkeypatch.setattr(making, "find_checkpoint", lambda j, given: making.Checkpoint(tmp_path, CAST, "x"))
    monkeypatch.setattr(Doors, "scorer", lambda self, cast: Grey())
    monkeypatch.setattr(Doors, "embedder", SimpleNamespace(name=CAST.embedder))
    return Journey.open(tmp_path / "show")


def shown(answer: Any) -> list[int]:
    return [int(read_picture(Path(row["path"]))[0, 0, 0]) for row in answer.data["pictures"]]


def test_of_three_the_one_with_the_fewest_faults_is_given(journey: Journey, tmp_path: Path) -> None:
    answer = journey.generate("park", cast="aoi,mio", count=2, best_of=3, out=tmp_path / "out")
    assert shown(answer) == [RIGHT, HALF]
    assert [row["failures"] for row in answer.data["pictures"]] == [[], ["stranger"]]
    assert len(list((tmp_path / "out" / "candidates").iterdir())) == 6, "the others are kept to be looked at"
    assert "best of 3" in answer.text and "1 of 2 as asked" in answer.text
    again = journey.generate("park", cast="aoi,mio", count=2, best_of=3, out=tmp_path / "out")
    assert [row["path"] for row in again.data["pictures"]] == [row["path"] for row in answer.data["pictures"]]


def test_another_picture_of_that_name_stays(journey: Journey, tmp_path: Path) -> None:
    first = journey.generate("park", cast="aoi,mio", best_of=3, out=tmp_path / "out")
    path = Path(first.data["pictures"][0]["path"])
    path.write_bytes(b"mine")
    second = journey.generate("park", cast="aoi,mio", best_of=3, out=tmp_path / "out")
    assert path.read_bytes() == b"mine" and second.data["pictures"][0]["path"] != str(path)


def test_wrong_figures_are_drawn_anew_until_nothing_is_wrong(
    journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def repair(
        model: Any, path: Path, scene: Scene, cast: Cast, look: Any, config: Any, out: Path, **k: Any
    ) -> Repaired:
        asked.append(path)
        return Repaired(replace(picture(out, RIGHT, scene, 5), id="mended"), 1, "mio")

    monkeypatch.setattr("fullcast.generation.repair.repair", repair)
    answer = journey.generate("park", cast="aoi,mio", best_of=2, repairs=3, out=tmp_path / "out")
    assert [path.name for path in asked] == [Path(answer.data["pictures"][0]["path"]).name], "once: then all was right"
    assert shown(answer) == [RIGHT]
    assert answer.data["pictures"][0]["num_mended"] == 1 and "1 drawn anew" in answer.text
    assert shown(journey.generate("park", cast="aoi,mio", best_of=2, out=tmp_path / "other")) == [HALF]


def test_what_cannot_be_mended_stays_as_it_was(
    journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fullcast.generation.repair.repair", lambda *given, **k: Repaired(None, 3, "mio"))
    answer = journey.generate("park", cast="aoi,mio", best_of=2, repairs=3, out=tmp_path / "out")
    assert shown(answer) == [HALF] and answer.data["pictures"][0]["num_mended"] == 0


def test_fewer_than_one_is_refused(journey: Journey, capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in ({"count": 0}, {"best_of": 0}, {"repairs": -1}):
        with pytest.raises(FullcastError, match="at least one picture, the best of at least one"):
            journey.generate("park", cast="aoi", **wrong)
    with pytest.raises(SystemExit) as stopped:
        main(["generate", "park", "--cast", "aoi", "--best-of", "0", "-w", str(journey.workspace.root)])
    assert stopped.value.code != 0 and "--best-of 0" in capsys.readouterr().err


def test_only_those_that_labelled_look(journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def judges(self: Doors, cast: Cast) -> None:
        raise AssertionError("the judge looked")

    monkeypatch.setattr(Doors, "look", judges)
    assert journey.generate("park", cast="aoi,mio", best_of=3, out=tmp_path / "out").data["pictures"]


def test_a_checkpoint_whose_labels_came_from_another_network_is_looked_at_over_today_s_cast(
    journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an update of Fullcast the embedder is another one; its models can still be chosen from."""
    monkeypatch.setattr(Doors, "scorer", lambda self, cast: SimpleNamespace(cast=cast))
    monkeypatch.setattr(Doors, "embedder", SimpleNamespace(name="new"))
    trained = making.Checkpoint(tmp_path, CAST, "x")
    assert scorer_of(journey, trained).cast is CAST, "no cast of today: the door says what to do"
    write_cast(journey.workspace.show_dir / "cast.json", replace(CAST, embedder="new"))
    assert scorer_of(journey, trained).cast.embedder == "new"
    write_cast(journey.workspace.show_dir / "cast.json", replace(CAST, characters=CAST.characters[:1], embedder="new"))
    assert scorer_of(journey, trained).cast is CAST
