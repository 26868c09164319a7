"""Perturbing videos: a registry of kinds, recipes that mix them, and a renderer that does it in one pass."""
