"""What only a machine with a real GPU can show: `make test-gpu`."""
