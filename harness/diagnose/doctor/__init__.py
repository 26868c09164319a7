"""Is this machine fit to run a challenge?"""
