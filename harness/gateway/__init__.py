"""Outside the container: feed videos one at a time, hold the clock, validate answers, record outcomes."""
