"""PNG parameters: what other UIs write is read, what we write they read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fullcast.formats.a1111 import (
    Parameters,
    format_parameters,
    parameters_of,
    parse_parameters,
    png_text,
    read_parameters,
    read_record,
)
from fullcast.records import Picture, Placement, Scene
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import write_png

SETTINGS = {"Steps": "20", "Sampler": "Euler a", "CFG scale": "7", "Seed": "965400086", "Size": "512x768"}


def test_a_text_from_the_ui_is_read() -> None:
    text = (
        "2people, aoi, (hinata:1.2), park\nsunset, best quality\nNegative prompt: lowres, bad hands\nblurry\n"
        "Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 1, Size: 512x768, Model hash: 45dee52b, "
        'Model: yama, Clip skip: 2, Lora hashes: "aoi: 12ab, hinata: 34cd", Version: v1.6.0'
    )
    parsed = parse_parameters(text)
    assert parsed.prompt == "2people, aoi, (hinata:1.2), park\nsunset, best quality"
    assert parsed.negative_prompt == "lowres, bad hands\nblurry"
    assert parsed.settings["Sampler"] == "DPM++ 2M Karras" and parsed.settings["Clip skip"] == "2"
    assert parsed.settings["Lora hashes"] == "aoi: 12ab, hinata: 34cd"
    assert parsed.size == (512, 768)
    assert format_parameters(parsed) == text


def test_a_last_line_of_two_pairs_is_prompt() -> None:
    parsed = parse_parameters("a girl\nhair: long, eyes: blue")
    assert parsed.settings == {} and parsed.prompt == "a girl\nhair: long, eyes: blue"


@pytest.mark.parametrize(
    "parameters",
    [
        Parameters("aoi, park", "", SETTINGS),
        Parameters("", "lowres", SETTINGS),
        Parameters("山のススメ, あおい", "低画質\n二行目", {**SETTINGS, "Model": "山, の: ススメ"}),
        Parameters("line one\n\nline three, BREAK", "a", {**SETTINGS, "Note": 'said "no", twice\nreally \\ yes'}),
        Parameters("only a prompt: here", "and this"),
        Parameters("[a|b] (c:1.3) \\(d\\)", "x", {**SETTINGS, "Region": '{"aoi": [0, 1]}', "Empty": ""}),
    ],
)
def test_round_trip(parameters: Parameters) -> None:
    assert parse_parameters(format_parameters(parameters)) == parameters


@pytest.mark.parametrize(
    "parameters",
    [
        Parameters("a\nNegative prompt: smuggled", "", SETTINGS),
        Parameters("aoi", "", {"Steps": "20"}),
        Parameters("aoi", "", {**SETTINGS, "a:b": "c"}),
        Parameters("hair: long, eyes: blue, mood: calm"),
    ],
)
def test_what_the_text_cannot_hold_is_refused(parameters: Parameters) -> None:
    with pytest.raises(FullcastError):
        format_parameters(parameters)


def test_a_picture_carries_all_that_makes_it_again(tmp_path: Path) -> None:
    scene = Scene("s1", "park", (Placement("aoi", cell=(1, 2)), Placement("hinata", "down", prompt="laughing")))
    picture = Picture(
        *("p1", "pictures/p1.png", scene, "2people, aoi, hinata down, park", "lowres", 12345, 160, 96, 25, 6.5),
        scheduler="DDIMScheduler",
        checkpoint="runs/山/step-2000",
        checkpoint_sha256="0123456789abcdef",
    )
    path = tmp_path / "絵.png"
    write_png(path, np.zeros((96, 160, 3), np.uint8), png_text(picture))
    assert read_record(path) == picture
    read = read_parameters(path)
    assert read == parameters_of(picture)
    assert read is not None and read.size == (160, 96)
    assert read.settings["Sampler"] == "DDIM" and read.settings["Model hash"] == "0123456789"
    write_png(tmp_path / "plain.png", np.zeros((4, 4, 3), np.uint8))
    assert read_parameters(tmp_path / "plain.png") is None and read_record(tmp_path / "plain.png") is None
