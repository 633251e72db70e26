"""Formulas and rules, a file per family. Public names are gathered in ``gradflow/__init__.py``."""
