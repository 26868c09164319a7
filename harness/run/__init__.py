"""One entry: evaluate it on every set of a challenge, conclude, and try a package on a few videos."""
