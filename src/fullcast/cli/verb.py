"""What every verb shares: the options that all of them have, opening a workspace, and telling the answer."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from fullcast.cli.bars import Bars
from fullcast.cli.words import pairs

if TYPE_CHECKING:
    from fullcast.journey import Answer, Journey

Where = Annotated[Path, Parameter(name=["--workspace", "-w"], help="The workspace; the present folder by default.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON, for machines.")]
Settings = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        negative="",
        help="A setting of fullcast.toml: --set training.learning-rate=1e-5, or --training.learning-rate 1e-5.",
    ),
]
HERE = Path()


def open_journey(workspace: Path, settings: Sequence[str] = (), json: bool = False) -> Journey:
    from fullcast.journey import Journey

    return Journey.open(workspace, pairs(settings), progress=Bars(), say=say(json))


def bear_any_name() -> None:
    """Names that the terminal's encoding does not have (Japanese ones, on many a Windows) are printed as escapes."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def tell(answer: Answer, json: bool) -> None:
    """JSON is UTF-8 wherever it is printed."""
    if json:
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        print(json_format.dumps(answer.data, indent=2, ensure_ascii=False, default=str))
    elif answer.text:
        print(answer.text)


def say(json: bool) -> Any:
    """Lines on the way; with --json stdout belongs to the result alone."""
    return lambda line: print(line, file=sys.stderr if json else sys.stdout, flush=True)
