"""Texts that try to be more than text."""

from hypothesis import strategies as st

PIECES = [
    *("$(id)", "`id`", "${HOME}", "$HOME", "$$", "%n", "%", "%%", '"', "'", "\\", "\\n", "\\x41", " ", "  ", "\n"),
    *(
        "\r",
        "\t",
        "\0",
        "\x1b",
        "\x7f",
        "\x85",
        "\u2028",
        "\ufeff",
        "—",
        "é",
        "\U0001f600",
        ";",
        "#",
        "{",
        "}",
        "[",
        "]",
    ),
    *(
        "&",
        "|",
        "<<EOF",
        "EOF",
        "-",
        ":",
        ": ",
        ",",
        "=",
        "~",
        "*",
        "!",
        "@",
        "on",
        "null",
        "1.30",
        "0x1f",
        "1:30",
        "a",
    ),
    *("include /etc/passwd;", "../", "---", "...", "? ", "|\n", ">\n", "'''", '"""', "ExecStart=/bin/id", "\nEOF\n"),
]


def hostile() -> st.SearchStrategy[str]:
    """Sequences of such pieces, and any other text."""
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    return st.one_of(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), text)
