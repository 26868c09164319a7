"""Score recorded outcomes again, under other labels or rules, without running a model."""
