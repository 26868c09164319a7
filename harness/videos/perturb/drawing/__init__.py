"""Pixels: planes, warps, drawn pictures, and the face that a filter follows."""
