"""The portal from a shell: its REST API asked by a program. Imports nothing of the server."""
