"""Questions that are not a run: audit a challenge, examine a machine, measure it, attack its sandbox."""
