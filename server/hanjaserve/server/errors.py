"""Every error hanjaserve raises on purpose, in one tree.

    HanjaserveError
    ├── ConfigError            a flag or variable is wrong, or a machine lacks what it asks for
    │   └── NotInstalled       a package that is optional
    ├── BundleError            a bundle is missing, damaged or foreign
    ├── BuildError             a build step can't go on
    │   └── ParityError        an artefact disagrees with the checkpoint
    ├── RequestError           the caller's fault
    │   ├── InvalidText
    │   ├── TextTooLong
    │   ├── BatchTooLarge
    │   └── BadOption          names the field
    ├── Unauthenticated        no token, or one that is not known
    ├── Forbidden              the token lacks the right
    ├── NotFound               what the request names is not there
    ├── StateChanged           something has another version or revision than the request counts on
    ├── LimitReached           something is full, and trying again does not help by itself
    ├── Overloaded             try again after a while
    ├── DeadlineExpired
    ├── Draining               the server is stopping or not ready
    └── RuntimeFault           a runner failed
        ├── OutOfDeviceMemory  try again after a while
        └── DeviceLost         the process has to start again

Messages say what, the value, the limit and the fix; status.py maps each to a gRPC status.
"""


class HanjaserveError(Exception):
    """Base of all."""


class ConfigError(HanjaserveError):
    """A flag or variable is wrong."""


class NotInstalled(ConfigError):
    """A package that a runner needs is not installed."""


class BundleError(HanjaserveError):
    """A bundle is missing, damaged or foreign."""


class BuildError(HanjaserveError):
    """A build step can't go on."""


class ParityError(BuildError):
    """An artefact disagrees with the checkpoint it was made from."""


class RequestError(HanjaserveError):
    """The request can't be served as it is."""


class InvalidText(RequestError):
    """The text is not text."""


class TextTooLong(RequestError):
    """The text is over the limit."""


class BatchTooLarge(RequestError):
    """The batch has too many items."""


class BadOption(RequestError):
    """An option has a value it can't have.

    Attributes:
        field: name of the option.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Unauthenticated(HanjaserveError):
    """The caller did not say who it is, or nobody knows it."""


class Forbidden(HanjaserveError):
    """The caller is known and may not do this."""


class NotFound(HanjaserveError):
    """What the request names is not there."""


class StateChanged(HanjaserveError):
    """Something has another version or revision than the request counts on."""


class LimitReached(HanjaserveError):
    """Something is full, and trying again does not help by itself."""


class Overloaded(HanjaserveError):
    """There is more work than can be done in time.

    Attributes:
        retry_after_s: seconds after which trying again makes sense.
        reason: what ran out, in one word for the metrics.
    """

    def __init__(self, message: str, retry_after_s: float = 1.0, *, reason: str = "overloaded") -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.reason = reason


class DeadlineExpired(HanjaserveError):
    """The caller's deadline passed."""


class Draining(HanjaserveError):
    """The server is stopping or not ready yet.

    Attributes:
        retry_after_s: seconds after which trying again makes sense; None if that is not known.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RuntimeFault(HanjaserveError):
    """A runner failed."""


class OutOfDeviceMemory(RuntimeFault):
    """The GPU has too little free memory for a batch."""


class DeviceLost(RuntimeFault):
    """The GPU is of no use to this process any more: only a new process can use it again."""
