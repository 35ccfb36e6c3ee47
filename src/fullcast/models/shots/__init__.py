"""Doors to shot detectors. `Cuts` is built in and needs no weights; TransNetV2 would be one more file here."""

from fullcast.models.shots.cuts import Cuts

__all__ = ["Cuts"]
