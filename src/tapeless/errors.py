"""What goes wrong, by stage.  Each class has a stable code and is also a standard exception type."""

from __future__ import annotations

import linecache


class TapelessError(Exception):
    """Root of all errors raised by tapeless.

    `code` is stable and is explained in the documentation's page of errors.
    """

    code = "TL000"

    def __init__(self, message: str, *, filename: str | None = None, line: int | None = None) -> None:
        self.filename = filename
        self.line = line
        super().__init__(message if filename is None else locate(message, filename, line or 0))
        self.message = message

    def __str__(self) -> str:
        return f"{super().__str__()} [{self.code}]"


def locate(message: str, filename: str, line: int) -> str:
    """`message` with file, line and source text in front."""
    text = linecache.getline(filename, line).strip()
    where = f"{filename}:{line}: "
    return f"{where}{message}\n    {text}\n" if text else where + message


class SourceUnavailableError(TapelessError, TypeError):
    """The Python source of a function on an active path cannot be read."""

    code = "TL101"


class UnsupportedSyntaxError(TapelessError, SyntaxError):
    """A construct that tapeless does not differentiate (`async`, `await`)."""

    code = "TL102"

    def __str__(self) -> str:
        return f"{self.args[0]} [{self.code}]"


class VerifyError(TapelessError, ValueError):
    """A Program is not well formed."""

    code = "TL201"


class ParseError(TapelessError, ValueError):
    """The text of a Program cannot be read."""

    code = "TL202"


class NotDifferentiableError(TapelessError, TypeError):
    """A derivative was asked with respect to something that has none (an integer, a string)."""

    code = "TL301"


class NotScalarError(TapelessError, TypeError):
    """`grad` was asked of a function whose result is not one real number."""

    code = "TL302"


class StructureError(TapelessError, ValueError):
    """A tangent or cotangent has another shape, type or structure than the value it belongs to."""

    code = "TL303"


class MissingRuleError(TapelessError, NotImplementedError):
    """A function that is not Python underneath has no derivative rule, and an active value reaches it."""

    code = "TL401"


class UntrackedMutationError(TapelessError, TypeError):
    """An active value would be stored where its derivative cannot follow."""

    code = "TL402"


class BackendError(TapelessError, TypeError):
    """A backend cannot take the program."""

    code = "TL501"


class NotCompilable(BackendError):
    """The native backend cannot compile a part of the program; the message says why and what would do."""

    code = "TL502"


class DerivativeMismatch(AssertionError):
    """A derivative differs from finite differences, or two modes of differentiation from each other."""
