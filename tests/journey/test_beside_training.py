"""What a training is given beside its stream."""

from __future__ import annotations

from dataclasses import replace

from fullcast.journey.beside_training import same_pixels
from fullcast.records import Sample


def test_samples_of_stages_that_differ_in_captions_alone_show_the_same_pixels() -> None:
    first = Sample("aoi", "im", "im.png", (0.0, 0.0, 16.0, 16.0), "screenshots")
    renamed = replace(first, id="aoi@late", tags=("park",))
    elsewhere = [
        replace(renamed, crop=(0.0, 0.0, 16.0, 8.0), id="cut@late"),
        replace(renamed, path="b.png", id="b@late"),
    ]
    assert same_pixels([first, renamed, *elsewhere]) == {"aoi@late": "aoi"}
