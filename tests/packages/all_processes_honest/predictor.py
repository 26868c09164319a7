"""Has as many processes at work at once as the limit promises, and waits for all of them."""

import os

LIMIT = 64  # of the suite
OTHERS = 4  # at most: the container's first process, the runner and what it started


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        ours, theirs = os.pipe()
        children = []
        for _ in range(LIMIT - OTHERS):
            child = os.fork()
            if child == 0:
                os.close(theirs)
                os.read(ours, 1)  # until all have been started
                os._exit(int(sum(range(100_000)) == 4_999_950_000))
            children.append(child)
        os.close(theirs)
        os.close(ours)
        done = sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
        return done / LIMIT
