"""The simulator: the node's own services, many nodes in one process, one seed, every fault, and checks at every step.

Only four things are swapped: the clock (chance.SimClock), the randomness and keys (chance), the network (network.Wire
in place of HTTP) and the moment at which a process dies (machine.Machine). docs/reliability.md says what is covered.
"""
