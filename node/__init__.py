"""A Liandong node: one office's database, its rules, and the doors to people and to its neighbours."""

__version__ = "0.1.0"
