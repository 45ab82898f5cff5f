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
