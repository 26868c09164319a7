"""The statistics of a board: what can be told apart and what cannot. Arithmetic over one frozen value."""
