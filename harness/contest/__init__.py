"""Many entries: the rules of a contest, what was decided, and the board."""
