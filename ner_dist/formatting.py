"""Format numbers for people: significant digits only, and – where there is no number."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TypeGuard

NOTHING = "–"
MINUS = "−"


def known(value: Any) -> TypeGuard[float]:
    """Whether a value is a finite number."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    # Neither not a number nor infinite, nor a whole number that no float can hold.
    return abs(value) <= sys.float_info.max


def score(value: Any, std: Any = None) -> str:
    """A share or a loss, with its standard deviation over seeds where there is one."""
    if not known(value):
        return NOTHING
    return f"{value:.4f}" + (f" ± {std:.4f}" if known(std) else "")


def signed(value: Any, digits: int = 4) -> str:
    """A difference of scores; without a sign if it rounds to 0."""
    if not known(value):
        return NOTHING
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return ("+" if value > 0 else MINUS) + text


def interval(low: Any, high: Any, *, sign: bool = False) -> str:
    """The bounds of an interval, of scores or, with a `sign`, of differences."""
    if not (known(low) and known(high)):
        return NOTHING
    show = signed if sign else score
    return f"{show(low)} to {show(high)}"


def p_value(value: Any, *, floor: bool = False) -> str:
    """A p-value; a very small one as an upper bound, as one at the `floor` of its resamples."""
    if not known(value):
        return NOTHING
    if floor and value >= 0.0001:
        return f"< {value:.4f}" if value < 0.1 else f"< {value:.2f}"
    if value < 0.0001:
        return "< 0.0001"
    return f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def share(value: Any) -> str:
    """A share as a percentage."""
    if not known(value):
        return NOTHING
    percent = 100 * value
    return f"{percent:.2f} %" if 0 < percent < 1 else f"{percent:.1f} %"


def level(value: float) -> str:
    """The level of an interval as a percentage."""
    return share(value).replace(".0 ", " ")


def count(value: Any) -> str:
    """A whole number, or the mean of several over seeds."""
    if not known(value):
        return NOTHING
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number of things: `1 sentence`, `2 sentences`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: Any) -> str:
    """A length of time in its two largest units at most: `41 s`, `5 min 07 s`, `12 min`, `1 h 02 min`."""
    if not known(seconds):
        return NOTHING
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 10:
        return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours:02} h"


def joined(names: Sequence[str], *, most: int | None = None) -> str:
    """Names in a sentence; beyond `most`, how many more."""
    if most is not None and len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
