"""What ends a command early, and the exit codes that all commands share."""

OK = 0
FAILED = 1
"""The command could not do its work: a text was refused, the server failed."""
USAGE = 2
"""The command line, an input file or the installation is at fault."""
NO_SERVER = 3
"""No server answers."""
BAD_ROWS = 4
"""Some rows of the input could not be converted."""
SIGNALLED = 128
"""Plus the number of the signal that ended the command: 143 is SIGTERM."""
INTERRUPTED = 130
"""Ctrl-C."""
BROKEN_PIPE = 141
"""Whoever read the output went away, as `head` does."""


class CliError(Exception):
    """Ends the command with one line on standard error.

    Attributes:
        exit_code: What the process returns.
    """

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
