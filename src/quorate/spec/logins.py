"""URLs without the login that somebody wrote into them: no output, error or journal carries a password on."""

import re

HIDDEN = "(secret)"
_LOGIN = re.compile(
    r"""://(?:
        [^\s'"/]*                        # user:password; the last @ before the path ends it
        | [^\s'"/@:]*:(?!\d+/)[^\s'"]*   # a password with a slash in it; a port and a path with an @ are none
    )@""",
    re.VERBOSE,
)


def without_logins(text: str) -> str:
    """The text with `(secret)` for what stands between `://` and `@`."""
    return _LOGIN.sub(f"://{HIDDEN}@", text) if "://" in text and "@" in text else text
