"""The statistics of a board: what can and what cannot be told apart. Pure arithmetic over one frozen value."""
