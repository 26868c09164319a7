"""Writes to the kernel's settings."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        done = 0
        for place in (
            "/proc/sys/kernel/core_pattern",
            "/proc/sysrq-trigger",
            "/sys/kernel/uevent_helper",
            "/proc/sys/vm/overcommit_memory",
        ):
            try:
                with open(place, "w") as stream:
                    stream.write("1")
                done += 1
            except OSError as error:
                print("EVIDENCE", error)
        return float(done > 0)
