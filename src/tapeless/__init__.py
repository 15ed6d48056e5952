"""Derivatives of ordinary Python programs."""

from tapeless.api import grad as grad
from tapeless.api import jvp as jvp
from tapeless.api import value_and_grad as value_and_grad
from tapeless.api import vjp as vjp
from tapeless.runtime.tangent import Tangent as Tangent
