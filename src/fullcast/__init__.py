"""Fullcast turns a show into an image model that knows its whole cast, and proves it with numbers."""

__version__ = "0.1.0.dev0"
