"""What can be said about a package by looking at it: pure functions from its files to findings."""
