"""Doors to shot detectors. `Cuts` is built in and needs no weights; `TransNetCuts` asks the package of that network."""

from fullcast.models.shots.cuts import Cuts
from fullcast.models.shots.transnet import TransNetCuts

__all__ = ["Cuts", "TransNetCuts"]
