"""What can be said of a package by looking at it: pure functions from its files to findings."""
