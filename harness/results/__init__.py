"""What a run leaves on the disk, and the index that can be rebuilt from it."""
