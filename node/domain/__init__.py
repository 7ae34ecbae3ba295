"""Pure rules of the field: steps, routing, places, catalogue. They know neither protocol nor database."""
