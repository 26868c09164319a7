"""What every other room may use: types, errors, the challenge, limits, engines."""
