"""Not numpy."""

float64 = float
