"""Real faults on real processes: killed, refused by the disk, cut off from power, from time and from each other.

The judge is the same everywhere: `liandong verify`, and a record, kept outside the node, of everything it acknowledged.
"""
