"""What runs the harness's own work: a pool of processes on this machine, or Ray."""
