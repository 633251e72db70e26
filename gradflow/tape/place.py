"""Where in the user's program something happened."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import CodeType, FrameType

ROOT = str(Path(__file__).parents[1]) + os.sep


ours: dict[str, bool] = {}  # is a file one of this package's?
getframe = sys._getframe

Place = tuple[CodeType, int]


def caller(depth: int = 2) -> Place | None:
    """The place in the user's program that called the package, at least ``depth`` calls away.

    Its line is found when somebody asks; until then this costs 100 ns, more if the depth was too small.
    """
    frame: FrameType | None = getframe(depth)
    while frame is not None:
        code = frame.f_code
        name = code.co_filename
        mine = ours.get(name)
        if mine is None:
            mine = ours[name] = name.startswith(ROOT)
        if not mine:
            return code, frame.f_lasti
        frame = frame.f_back
    return None


def text(place: Place | None) -> str:
    """``file:line, in function``"""
    if place is None:
        return "an unknown place"
    code, offset = place
    line = next((line for start, end, line in code.co_lines() if start <= offset < end), None)
    return f"{code.co_filename}:{line}, in {code.co_name}"
