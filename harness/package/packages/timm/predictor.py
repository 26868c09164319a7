"""A network of timm on evenly spread frames. Without `weights.safetensors` it answers by chance."""

from pathlib import Path

import av
import timm
import torch
from safetensors.torch import load_file

MODEL = "convnext_atto"
SIZE = 224
FRAMES = 8


class Predictor:
    def __init__(self, package: Path) -> None:
        torch.manual_seed(0)  # the same answers each time, also before there are weights
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = timm.create_model(MODEL, pretrained=False, num_classes=1)  # True would download
        weights = package / "weights.safetensors"
        if weights.is_file():  # made with safetensors.torch.save_file(model.state_dict(), …)
            self.model.load_state_dict(load_file(weights))
        self.model.eval().to(self.device)
        self.mean = torch.tensor([0.485, 0.456, 0.406], device=self.device).view(3, 1, 1)
        self.std = torch.tensor([0.229, 0.224, 0.225], device=self.device).view(3, 1, 1)

    @torch.inference_mode()
    def predict(self, video: Path) -> float:
        frames = torch.stack([self.prepare(frame) for frame in read_frames(video, FRAMES)])
        return torch.sigmoid(self.model(frames).mean()).item()

    def prepare(self, frame: torch.Tensor) -> torch.Tensor:
        picture = frame.to(self.device).permute(2, 0, 1).float() / 255
        picture = torch.nn.functional.interpolate(picture[None], (SIZE, SIZE), mode="bilinear")[0]
        return (picture - self.mean) / self.std


def read_frames(video: Path, count: int) -> list[torch.Tensor]:
    """Read `count` frames, (height, width, 3), RGB, evenly spread; raises if none can be decoded."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        step = max(1, (stream.frames or count) // count)
        frames = []
        for number, frame in enumerate(container.decode(stream)):
            if number % step == 0:
                frames.append(torch.from_numpy(frame.to_ndarray(format="rgb24")))
            if len(frames) == count:
                break
    if not frames:
        raise ValueError("no frame can be decoded")
    return frames
