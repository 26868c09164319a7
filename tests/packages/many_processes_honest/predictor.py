"""Uses threads, processes and shared memory as honest packages do."""

import multiprocessing
import threading


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            numbers = pool.map(abs, [-1, -2])
        thread = threading.Thread(target=numbers.append, args=(3,))
        thread.start()
        thread.join()
        return sum(numbers) / 10
