"""`--until`: a time as people write it."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from quorate.core import UsageError
from quorate.execute.window import Window

FIX = "write the next 04:00 here as `--until 04:00`, any other time as `--until 2026-12-24T04:00:00+01:00`"


def _now() -> datetime:
    return datetime.now().astimezone()


def window(text: str, now: Callable[[], datetime] = _now) -> Window | None:
    """From now to a time, None without one. Raises UsageError."""
    return Window(moment(text, now())) if text else None


def moment(text: str, now: datetime) -> datetime:
    """The time that is meant: HH:MM is the next one by the clock of this machine. Raises UsageError."""
    if re.fullmatch(r"[0-9]{1,2}:[0-9]{2}", text):
        return _next(text, now)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--until {text}: is no time", FIX) from None
    if "T" not in text.upper() and " " not in text:
        raise UsageError(f"--until {text}: is a day, and no time", FIX)
    if found.tzinfo is None:
        here = f"{found.isoformat()}{now.isoformat()[-6:]}"
        raise UsageError(f"--until {text}: does not say of which zone", f"add it, such as {here}")
    if found <= now:
        raise UsageError(f"--until {text}: is over, it is {now.isoformat(timespec='seconds')}", FIX)
    return found


def _next(text: str, now: datetime) -> datetime:
    hour, minute = map(int, text.split(":"))
    if hour > 23 or minute > 59:
        raise UsageError(f"--until {text}: hours go to 23, minutes to 59", FIX)
    # Without a zone, for the day after may have another offset.
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0, tzinfo=None)
    days = (today, today + timedelta(days=1))
    return next(found for day in days if (found := day.astimezone()) > now)
