"""Broken input by the hundred thousand for everything that decodes what others send (docs/reliability.md)."""
