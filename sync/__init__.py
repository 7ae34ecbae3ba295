"""The protocol: pure functions over bytes, state, keys and time given as arguments. Only sync.transport does I/O."""
