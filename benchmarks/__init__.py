"""What the software costs, measured beside its limits in the same run (README.md says what each figure means)."""
