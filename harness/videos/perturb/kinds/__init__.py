"""Every kind of perturbation, by family."""
