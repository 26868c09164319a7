"""Find or build the runtime image that packages run in."""
