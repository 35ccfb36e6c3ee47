"""The one exception family of Fullcast. Libraries raise; the CLI prints the sentence and exits with 2."""

from __future__ import annotations


class FullcastError(ValueError):
    """Bad input, said in one clear sentence: what was given, what is accepted, what to do next."""


class UnreadableFile(FullcastError):
    """A file that cannot be used; in a stage over many files it becomes a counted `Drop`, not a crash."""

    def __init__(self, path: object, reason: str, detail: str = "") -> None:
        super().__init__(f"{path}: {detail or reason}")
        self.path = str(path)
        self.reason = reason
        """One countable word, such as ``truncated``."""
        self.detail = detail or reason
