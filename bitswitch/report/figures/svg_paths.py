"""Numbers and paths of SVG, as short as they look the same."""

import re
from collections.abc import Iterator

DIGITS = 1
"""Behind the point: a tenth of a point, of which a figure is 486 wide, is less than a quarter of a
pixel on a screen of 1100."""

_COMMAND = re.compile(r"([MLQCz])([^MLQCz]*)")
_NUMBER = re.compile(r"-?\d+\.\d+")


def coarse(text: str, digits: int = DIGITS + 1) -> str:
    """Return a text with its numbers rounded.

    >>> coarse("translate(12.34567 -0.0401) scale(1.0 0.5)")
    'translate(12.35 -0.04) scale(1 0.5)'
    """
    return _NUMBER.sub(lambda one: f"{round(float(one[0]), digits):g}", text)


def relative(path: str, digits: int = DIGITS) -> str:
    """Return a path of absolute places as one of steps on a grid; no step adds to an error.

    >>> relative("M 10 20.04 L 10 30 L 12.31 30 L 12.32 30.01 L 9 0.5 z")
    'M10 20v10h2.3l-3.3-29.5z'
    >>> relative("M 0 -1 C 0.5 -1 1 -0.5 1 0 C 1 0.5 0.5 1 0 1")
    'M0-1c.5 0 1 .5 1 1c0 .5-.5 1-1 1'

    Args:
        path: Of the commands M, L, Q, C and z.
        digits: Behind the point of the grid.
    """
    return "".join(_steps(path, 10**digits))


def _steps(path: str, grid: int) -> Iterator[str]:
    """Yield commands; a place is known in whole steps of the grid."""
    x = y = 0
    first = (0, 0)
    for command, written in _COMMAND.findall(path):
        if command == "z":
            yield "z"
            x, y = first
            continue
        numbers = [round(float(one) * grid) for one in written.split()]
        places = list(zip(numbers[::2], numbers[1::2], strict=True))
        if command == "M":
            yield "M" + _joined(numbers, grid)
            first = places[-1]
        elif command == "L":
            yield _line(places[-1][0] - x, places[-1][1] - y, grid)
        else:
            steps = [end for px, py in places for end in (px - x, py - y)]
            yield command.lower() + _joined(steps, grid)
        x, y = places[-1]


def _line(across: int, down: int, grid: int) -> str:
    """Return a straight step; nothing for none."""
    if across and down:
        return "l" + _joined([across, down], grid)
    return f"h{_number(across, grid)}" if across else f"v{_number(down, grid)}" if down else ""


def _joined(numbers: list[int], grid: int) -> str:
    """Return numbers with a space where none would join them."""
    return re.sub(" -", "-", " ".join(_number(one, grid) for one in numbers))


def _number(steps: int, grid: int) -> str:
    """Return so many steps of a grid, without what goes without saying.

    >>> _number(-5, 10), _number(120, 10), _number(0, 10)
    ('-.5', '12', '0')
    """
    return (
        f"{steps / grid:.10g}".replace("0.", ".", 1) if abs(steps) < grid else f"{steps / grid:g}"
    )
