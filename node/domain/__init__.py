"""Pure rules of the consultation work: no database, no network, no clock."""
