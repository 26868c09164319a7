"""Videos with their labels: read, probe, perturb, prepare."""
