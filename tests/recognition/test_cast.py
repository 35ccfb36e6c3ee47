"""References -> cast -> file -> cast; and the look that stands on it."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from fullcast.models.ccip import CcipEmbedder
from fullcast.recognition.castfile import read_cast, write_cast
from fullcast.recognition.identify import Gallery
from fullcast.recognition.look import CastLook
from fullcast.recognition.references import BuiltCast, build_cast, cast_inputs, find_looks
from fullcast.records import UNKNOWN
from fullcast.store.errors import FullcastError
from tests import onnx_graphs
from tests.recognition import drawn

LOOKS = {
    "aoi": drawn.COLOURS["aoi"],
    "aoi/hairdown": drawn.COLOURS["hairdown"],
    "Mio K": drawn.COLOURS["mio"],
    "rin/summer": drawn.COLOURS["rin"],
}


def built(tmp_path: Path, **options: object) -> BuiltCast:
    folder = drawn.write_references(tmp_path / "references", LOOKS)
    return build_cast(folder, drawn.embedder(tmp_path), drawn.detector(tmp_path), "show", **options)  # type: ignore[arg-type]


def test_folders_become_characters_and_forms(tmp_path: Path) -> None:
    cast = built(tmp_path).cast
    assert [(c.name, c.trigger_word) for c in cast.characters] == [("Mio K", "miok"), ("aoi", "aoi"), ("rin", "rin")]
    forms = {c.name: [(f.name, f.trigger_word) for f in c.forms] for c in cast.characters}
    assert forms == {"Mio K": [("", "")], "aoi": [("", ""), ("hairdown", "hairdown")], "rin": [("summer", "summer")]}
    assert all(f.references.shape == (4, 8) for c in cast.characters for f in c.forms)  # type: ignore[union-attr]
    assert cast.embedder == drawn.embedder(tmp_path).name


def test_the_file_gives_back_the_same_cast_bit_for_bit(tmp_path: Path) -> None:
    cast = built(tmp_path).cast
    write_cast(tmp_path / "cast.json", cast)
    again = read_cast(tmp_path / "cast.json")
    assert again == cast  # embeddings take no part in this
    for one, two in zip(cast.characters, again.characters, strict=True):
        for a, b in zip(one.forms, two.forms, strict=True):
            assert np.array_equal(a.references, b.references)  # type: ignore[arg-type]
    write_cast(tmp_path / "twice.json", again)
    assert (tmp_path / "twice.json").read_bytes() == (tmp_path / "cast.json").read_bytes()
    assert Gallery.of(again).scoring == Gallery.of(cast).scoring
    assert str(tmp_path) not in (tmp_path / "cast.json").read_text()


def test_damaged_and_foreign_cast_files_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "cast.json"
    with pytest.raises(FullcastError, match="there is no cast file"):
        read_cast(path)
    for text, words in {
        "{": "it is no JSON",
        "[]": "not a cast file",
        '{"format": "fullcast-cast", "version": 9}': "later Fullcast",
        '{"format": "fullcast-cast", "version": 1}': "no cast file: KeyError",
    }.items():
        path.write_text(text)
        with pytest.raises(FullcastError, match=words):
            read_cast(path)


def test_cast_toml_overrules_folder_names_and_unknown_keys_stop(tmp_path: Path) -> None:
    folder = drawn.write_references(tmp_path / "references", LOOKS)
    toml = folder / "cast.toml"
    toml.write_text(
        'show = "Mountains"\nlicence = "CC0"\n[characters.aoi]\nname = "yukimura aoi"\ntrigger_word = "yaoi"\n'
        '[characters.aoi.forms.hairdown]\ntrigger_word = "loose"\n[characters.rin]\nlicence = "CC BY 4.0"\n'
    )
    cast = build_cast(folder, drawn.embedder(tmp_path), drawn.detector(tmp_path), "show").cast
    aoi = cast.character("yukimura aoi")
    assert (cast.show, aoi.trigger_word, aoi.form("hairdown").trigger_word) == ("Mountains", "yaoi", "loose")
    assert (aoi.licence, cast.character("rin").licence) == ("CC0", "CC BY 4.0")
    for text, words in {
        "colour = 1": "'colour' is not among the keys known here: characters, licence, show",
        "[characters.nobody]": "'nobody' is not among the characters known here: Mio K, aoi, rin",
        '[characters.aoi]\ntrigger_word = "left"': "trigger word 'left' of aoi cannot be used",
        "x = ": "is no TOML",
    }.items():
        toml.write_text(text)
        with pytest.raises(FullcastError, match=words):
            build_cast(folder, drawn.embedder(tmp_path), drawn.detector(tmp_path), "show")


@pytest.mark.parametrize(
    ("look", "table"),
    [
        ("Hirasawa, Yui", '[characters."Hirasawa, Yui"]'),
        ("aoi@school", '[characters."aoi@school"]'),
        ("rin/red, blue", '[characters.rin.forms."red, blue"]'),
    ],
)
def test_names_that_no_command_can_ask_for_are_refused(look: str, table: str, tmp_path: Path) -> None:
    folder = drawn.write_references(tmp_path / "references", {"mio": drawn.COLOURS["mio"], look: drawn.COLOURS["rin"]})
    networks = drawn.embedder(tmp_path), drawn.detector(tmp_path)
    with pytest.raises(FullcastError, match=re.escape(f"say another in references/cast.toml: {table} name = ...")):
        build_cast(folder, *networks, "show")
    (folder / "cast.toml").write_text(f'{table}\nname = "yui"\n', encoding="utf-8-sig")
    cast = build_cast(folder, *networks, "show").cast
    assert "yui" in {*cast.names, *(form.name for character in cast.characters for form in character.forms)}


def test_a_folder_without_pictures_is_named_and_the_rest_can_go_on(tmp_path: Path) -> None:
    folder = drawn.write_references(tmp_path / "references", LOOKS)
    (folder / "emi").mkdir()
    (folder / "emi" / "broken.png").write_bytes(b"")
    with pytest.raises(FullcastError, match=r"references/emi has no picture that can be read; put 3 to 10"):
        build_cast(folder, drawn.embedder(tmp_path), drawn.detector(tmp_path), "show")
    rest = build_cast(folder, drawn.embedder(tmp_path), drawn.detector(tmp_path), "show", strict=False)
    assert sorted(rest.cast.names) == ["Mio K", "aoi", "rin"]
    assert {(d.item, d.reason) for d in rest.drops} == {("emi/broken.png", "empty"), ("emi", "no-references")}
    with pytest.raises(FullcastError, match="there is no such folder"):
        build_cast(tmp_path / "absent", drawn.embedder(tmp_path), drawn.detector(tmp_path), "show")


def test_the_seeds_deeper_folders_are_forms_and_none_says_nothing(tmp_path: Path) -> None:
    """Char/appearance/outfit/accessories: what they say together is the look; two folders may show the same."""
    looks = {f"aoi/{form}": drawn.COLOURS["hairdown"] for form in ("hairdown/none/uniform", "none/dress/hat", "none")}
    folder = drawn.write_references(tmp_path / "references", {**LOOKS, **looks})
    cast = build_cast(folder, drawn.embedder(tmp_path), drawn.detector(tmp_path), "show").cast
    forms = {f.name: len(f.references) for f in cast.character("aoi").forms}  # type: ignore[arg-type]
    assert forms == {"": 8, "hairdown": 4, "hairdown uniform": 4, "dress hat": 4}
    (folder / "aoi" / "none" / "again").symlink_to(folder / "aoi")
    assert len(find_looks(folder)) == 7, "a circle of links is not entered"


def test_pictures_in_nobodys_folder_are_counted_and_make_the_cast_anew(tmp_path: Path) -> None:
    """As the seed's second version allows them: NAME_x.png beside the folders."""
    folder = drawn.write_references(tmp_path / "references", LOOKS)
    before = cast_inputs(folder)
    (folder / "Rin_x.png").write_bytes((folder / "aoi" / "0.png").read_bytes())
    rest = build_cast(folder, drawn.embedder(tmp_path), drawn.detector(tmp_path), "show")
    assert [(d.item, d.reason) for d in rest.drops] == [("Rin_x.png", "not-a-reference")]
    assert "put it into references/NAME" in rest.drops[0].detail
    assert cast_inputs(folder) != before


def test_a_reference_without_a_found_head_counts_whole(tmp_path: Path) -> None:
    from PIL import Image

    folder = drawn.write_references(tmp_path / "references", LOOKS)
    Image.new("RGB", (50, 60), drawn.COLOURS["rin"]).save(folder / "rin" / "summer" / "plain.png")
    rest = build_cast(folder, drawn.embedder(tmp_path), drawn.detector(tmp_path), "show")
    assert rest.headless == ("summer/plain.png",)
    assert len(rest.cast.character("rin").forms[0].references) == 5  # type: ignore[arg-type]


def test_a_page_of_600_dpi_is_looked_at_no_larger_than_can_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    from fullcast.recognition import references

    seen = []
    monkeypatch.setattr(references, "reference_crop", lambda picture, *_: seen.append(picture.shape))
    folder = tmp_path / "references"
    (folder / "aoi").mkdir(parents=True)
    Image.new("RGB", (3000, 4096)).save(folder / "aoi" / "page.png")
    build_cast(folder, drawn.embedder(tmp_path), drawn.detector(tmp_path), "show")
    assert seen == [(2048, 1500, 3)]


@pytest.mark.parametrize(("references", "threshold"), [(1, 0.4), (2, 0.5), (4, 0.6), (8, 0.7), (20, 0.7)])
def test_few_references_have_a_lower_threshold(tmp_path: Path, references: int, threshold: float) -> None:
    """A single character: nothing can be calibrated, and the embedder's own threshold is all there is."""
    folder = drawn.write_references(tmp_path / "references", {"aoi": drawn.COLOURS["aoi"]}, count=references)
    states = {"threshold": "0.7", "pair_threshold": "0.4", "crop_scale": "1.0"}
    door = CcipEmbedder(onnx_graphs.colour_embedder(tmp_path / "both.onnx", metadata=states), threads=1)
    cast = build_cast(folder, door, drawn.detector(tmp_path), "show").cast
    assert cast.threshold == pytest.approx(threshold)


def test_strangers_raise_the_threshold(tmp_path: Path) -> None:
    plain = built(tmp_path).calibration
    lookalikes = {"unknown": tuple(int(v) for v in 0.72 * np.array(LOOKS["aoi"]) + 0.28 * np.array(LOOKS["Mio K"]))}
    drawn.write_references(tmp_path / "references", lookalikes)  # type: ignore[arg-type]
    known = built(tmp_path)
    assert "unknown" not in known.cast.names
    assert known.calibration.num_strangers == 4
    assert known.calibration.threshold > plain.threshold


def test_the_look_names_figures_by_themselves(tmp_path: Path) -> None:
    cast = built(tmp_path).cast
    door = pickle.loads(pickle.dumps(CastLook(drawn.detector(tmp_path), drawn.embedder(tmp_path), cast)))
    image = drawn.picture(
        {
            (60, 100): drawn.STRANGER,
            (156, 100): drawn.COLOURS["mio"],
            (252, 100): drawn.COLOURS["hairdown"],
            (348, 100): drawn.COLOURS["mio"],
        }
    )
    found, nobody = door.look([image, np.zeros_like(image)])
    assert [(f.character, f.form) for f in found] == [(UNKNOWN, ""), ("Mio K", ""), ("aoi", "hairdown"), ("Mio K", "")]
    assert nobody == []
    mio = found[1]
    assert mio.scores[cast.names.index("Mio K")] == mio.score == max(mio.scores)
    assert mio.head_xyxy == (136, 80, 176, 120) and mio.asked == -1


def test_another_embedders_cast_is_refused(tmp_path: Path) -> None:
    cast = built(tmp_path).cast
    value = json.loads(json.dumps("other"))
    other = type(cast)(cast.show, cast.characters, value, cast.threshold)
    with pytest.raises(FullcastError, match="was embedded by other, not by ccip:embedder@"):
        CastLook(drawn.detector(tmp_path), drawn.embedder(tmp_path), other)
