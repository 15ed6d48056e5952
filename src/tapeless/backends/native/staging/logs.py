"""What a program logs: by `logging` itself, called back with the numbers and arrays, as prints are."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.callbacks import Logged
from tapeless.backends.native.staging.builtin_table import BUILTINS, NONE, lowers
from tapeless.backends.native.staging.callables import Method
from tapeless.backends.native.staging.paths import Held, Path
from tapeless.backends.native.staging.printing import call_back, shown
from tapeless.backends.native.staging.values import Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

#: Method of a logger -> the level of what it logs.
LEVELS = {
    "debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR,
    "critical": logging.CRITICAL,
}  # fmt: skip
OTHERS = ("log", "isEnabledFor", "getEffectiveLevel")


@dataclass(frozen=True, slots=True)
class Silent(Path):
    """Whether a logger passes over a level; None if it has methods of its own.

    A function of `logging` (`by_module`) sets handlers up where there are none, whatever the level.
    """

    logger: Held
    level: int
    by_module: bool

    def read(self, args: tuple[Any, ...], kwargs: Any) -> Any:
        logger: logging.Logger = self.logger.obj
        if vars(logger).keys() & {*LEVELS, *OTHERS, "_log", "handle", "makeRecord"}:
            return None
        return not logger.isEnabledFor(self.level) and (not self.by_module or bool(logger.handlers))


def method(s: Stager, logger: logging.Logger, name: str) -> Method | None:
    """A method of a logger that staging carries out."""
    if type(logger) not in (logging.Logger, logging.RootLogger) or name not in (*LEVELS, *OTHERS):
        return None
    for one in (name, "_log", "handle", "makeRecord"):
        s.on_class(type(logger), one)
    return Method(name, partial(_run, logger, name))


def _run(
    logger: logging.Logger, name: str, s: Stager, owner: Value, args: list[Value], kwargs: dict[str, Value]
) -> Value:
    if name == "getEffectiveLevel":
        level = logger.getEffectiveLevel()
        for k in (level, level - 1):
            _silent(s, logger, k, False)
        return Static(level)
    if name == "isEnabledFor":
        return Static(not _silent(s, logger, int(s.known(args[0])), False))
    if name == "log":
        return log(s, logger, s.known(args[0]), False, *args[1:], **kwargs)
    return log(s, logger, LEVELS[name], False, *args, **kwargs)


def _silent(s: Stager, logger: logging.Logger, level: int, by_module: bool) -> bool:
    path = Silent(Held(logger), level, by_module)
    found = path.read((), {})
    if found is None:
        s.refuse("a logger has methods of its own", "log outside the compiled function")
    s.guard(path, "is", found)
    return bool(found)


def log(
    s: Stager, logger: logging.Logger, level: int, by_module: bool, *args: Value, **options: Value
) -> Value:
    if any(not isinstance(v, Static) or v.obj for v in options.values()):
        s.refuse(f"{next(iter(options))} of a message that is logged", "log it outside the compiled function")
    if not _silent(s, logger, level, by_module):
        frame = s.frames[-1]
        function = frame.function.__name__ if frame.function is not None else frame.program.name
        made, operands = shown(s, args)
        how = Logged(logger, level, by_module, frame.program.filename, s.line, function)
        call_back(s, "print", operands, (made, how, False))
    return NONE


@lowers(logging.getLogger)
def get_logger(s: Stager, name: Value = NONE) -> Value:
    return Static(logging.getLogger(s.known(name)))


def _by_module(level: int) -> Callable[..., Value]:
    return lambda s, *args, **options: log(s, logging.getLogger(), level, True, *args, **options)


for _name, _level in LEVELS.items():
    BUILTINS[getattr(logging, _name)] = _by_module(_level)


@lowers(logging.log)
def _log(s: Stager, level: Value, *args: Value, **options: Value) -> Value:
    return log(s, logging.getLogger(), s.known(level), True, *args, **options)
