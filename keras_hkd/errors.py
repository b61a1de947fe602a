"""The errors that are raised on purpose: each says what was expected and how to mend it.

What a user can mend is told from a fault in the code by its class alone. Every class is also the
built-in error that a caller expects, so `except ValueError` catches all that it would otherwise.
"""


class UserError(Exception):
    """An error that the user can mend by what its message says.

    The command line shows the message without a traceback.

    Example:

    >>> try:
    ...     raise InvalidValueError("`epochs` must be at least 1. Received: 0")
    ... except UserError as error:
    ...     print(error)
    `epochs` must be at least 1. Received: 0
    """

    ag_pass_through = True
    """Tells TensorFlow's AutoGraph not to replace the error by one of another class."""


class InvalidValueError(UserError, ValueError):
    """A value, a file or a record cannot be used."""


class InvalidTypeError(InvalidValueError, TypeError):
    """A value is of a type that cannot be used."""


class MissingFileError(UserError, FileNotFoundError):
    """There is no file or folder at a path."""


class PathInUseError(UserError, FileExistsError):
    """A path is taken by something that must not be overwritten."""


class NotAFileError(UserError, IsADirectoryError):
    """A path names a folder where a file is expected."""


class MissingPackageError(UserError, ImportError):
    """An optional package is not installed."""


class OutOfMemoryError(UserError, MemoryError):
    """What is asked for does not fit into the free memory."""


class RunFailedError(UserError, RuntimeError):
    """Work began with valid input and did not succeed, such as a training that diverged."""
