"""The errors that are raised on purpose: each says what was expected and how to mend it.

What a user can mend is told from what went wrong in the code by its class alone. Every class is
also the built-in error that a caller expects, so `except ValueError` catches what it always did.
"""


class UserError(Exception):
    """Says in its message what the user can do; nobody needs a traceback to understand it.

    Example:

    >>> try:
    ...     raise InvalidValueError("`epochs` must be at least 1. Received: 0")
    ... except UserError as error:
    ...     print(error)
    `epochs` must be at least 1. Received: 0
    """


class InvalidValueError(UserError, ValueError):
    """A value, a file or a record is none that can be used."""


class InvalidTypeError(InvalidValueError, TypeError):
    """A value is of a type that can never be used."""
