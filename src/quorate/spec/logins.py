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

_BARE = re.compile(r"^(//)?[^\s@/:]*:(?!//)[^\s@]+@")
"""The same where a value has no scheme; what follows the host, as in `me@host:22`, is none."""
_QUERY = re.compile(r"(\?[^=]*=).+", re.DOTALL)


def without_logins(text: str) -> str:
    """The text with `(secret)` for what stands between `://` and `@`."""
    return _LOGIN.sub(f"://{HIDDEN}@", text) if "://" in text and "@" in text else text


def of_value(text: str) -> str:
    """A value of the cluster file that is wrong: also without a login before it that lacks its scheme, or a query."""
    return _QUERY.sub(rf"\1{HIDDEN}", _BARE.sub(lambda found: f"{found[1] or ''}{HIDDEN}@", without_logins(text)))
