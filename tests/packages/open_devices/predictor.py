"""Opens the host's memory, log and disks."""


class Predictor:
    def __init__(self, package):
        self.package = package

    def predict(self, video):
        opened = []
        for place in (
            "/dev/mem",
            "/dev/kmsg",
            "/dev/sda",
            "/dev/vda",
            "/dev/nvme0n1",
            "/dev/kvm",
            "/dev/fuse",
            "/proc/kcore",
            "/proc/kmsg",
        ):
            try:
                with open(place, "rb") as stream:
                    opened += [place] if stream.read(1) else []
            except OSError as error:
                print("EVIDENCE", error)
        return float(bool(opened))
