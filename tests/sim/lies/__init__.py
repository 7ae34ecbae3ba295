"""Lies: what a node with genuine keys could say against the rules, and whether another node would take it.

An honest node never says any of it, so that no run of honest nodes could tell whether the guards against it are there.
"""
