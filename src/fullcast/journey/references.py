"""References in the journey: whose picture may not be used is nobody's face either, in no cast and on no card."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fullcast.journey.taking_in import content_of
from fullcast.records import Image
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import file_id, read_picture
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.ingest.filters import OptOut


class References:
    """The reference pictures of a workspace as its opt-out.txt lets them be seen."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.folder = workspace, workspace.references_dir

    @cached_property
    def opt_out(self) -> OptOut:
        from fullcast.ingest.filters import read_opt_out

        return read_opt_out(self.workspace.opt_out_path)

    def read(self, path: Path) -> np.ndarray:
        """(H, W, 3) uint8 RGB. Raises `UnreadableFile`, also with ``opted-out``."""
        self._check(path)
        return read_picture(path)

    def content(self, path: Path) -> str:
        """For keys: the file's id, or why it is not used."""
        try:
            self._check(path)
        except UnreadableFile as error:
            return error.reason
        return content_of(path)

    def named(self) -> list[tuple[Path, str, str]]:
        """(file, character, form) of those of the cast that may be shown; none without the folder."""
        from fullcast.recognition.references import has_references, named_pictures

        if not has_references(self.folder):
            return []
        return [named for named in named_pictures(self.folder) if self._may_be_used(named[0])]

    def _may_be_used(self, path: Path) -> bool:
        try:
            self._check(path)
        except UnreadableFile:
            return False
        return True

    def _check(self, path: Path) -> None:
        """What lies beside it is read only where somebody opted out, for it says who drew it."""
        from fullcast.ingest.filters import OPTED_OUT, OptOut
        from fullcast.ingest.sidecars import read_sidecar

        if self.opt_out == OptOut():
            return
        said = read_sidecar(path)
        image = Image(file_id(path), path.name, 0, 0, "reference", tags=said.tags, artist=said.artist, url=said.url)
        if entry := self.opt_out.why(image):
            raise UnreadableFile(path, OPTED_OUT, entry)
