"""The exit codes of commands, and what they mean."""

OK = 0
NOT_WELL = 1  # what was looked at is not well: a verdict other than OK, an error found
USAGE = 2  # wrong usage, or the organiser's files are wrong
OUR_FAULT = 3  # ours or the host's (HARNESS_ERROR): nothing was counted, run it again
INTERRUPTED = 130  # what was done is kept
