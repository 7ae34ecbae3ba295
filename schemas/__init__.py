"""The contract between nodes and between a node and its users: data only, no behaviour. SPEC.md is its text."""
