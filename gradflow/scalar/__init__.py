"""Formulas over scalars: traced into programs, derived, simplified, evaluated, printed. Imports nothing of the package."""

from . import types
from .primitives import *
from .program import Program, trace
from .trace import Primitive, Value

__all__ = ["Primitive", "Program", "Value", "trace", "types", *Primitive.table]
__all__ += ["cast", "column_index", "linear_index", "random", "row_at", "row_max", "row_sum"]
