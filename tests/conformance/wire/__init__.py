"""A small second implementation of the protocol, written from schemas/SPEC.md alone."""
