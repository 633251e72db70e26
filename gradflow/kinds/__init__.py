"""The kinds of operations. Say the kind, give the formula, get every derivative."""

from .custom_rules import custom
from .formulas import Elementwise, Operation, elementwise, rows
from .linear_maps import linear

__all__ = ["Elementwise", "Operation", "custom", "elementwise", "linear", "rows"]
