"""Open, check and pack a contestant's package without trusting it."""
