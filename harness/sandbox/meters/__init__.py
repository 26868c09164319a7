"""Measure a container's memory, CPU and GPU from outside."""
