"""The one exception that a user is meant to read."""


class IvcrError(Exception):
    """A problem that the user can act on.

    The command line prints the message on one line, without a traceback, and exits with ``exit_code``.

    Args:
        message: what is wrong and where (file, line, field, found, expected).
        hint: what to do about it, if there is one thing to do.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message} ({hint})")
        self.hint = hint


def printable(text: str, longest: int = 2000) -> str:
    r"""``text`` on one line, safe to show: what could steer a terminal is an escape, a long middle is left out.

    Args:
        longest: in characters, before escapes are spelt out.

    >>> print(printable("\x1b[31mred\n"))
    \x1b[31mred\n
    >>> print(printable("a" * 1000 + "z", longest=9))
    aaa...aaz
    """
    if len(text) > longest:
        tail = (longest - 3) // 2
        text = f"{text[: longest - 3 - tail]}...{text[len(text) - tail :]}"
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
