"""Seeded bugs: each guard of the protocol taken out or weakened in turn, to see which check notices, and how soon.

Nothing of the nodes is imported here before a mutant is in place: a mutant is the source of a module, changed while it
is being imported.
"""
