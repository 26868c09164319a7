"""The members of the ensemble: crops in, one logit of P(fake) each.

plain   a timm EfficientNet; its features, brought to length 1, under one linear output
wsdan   the same backbone under WS-DAN's attention (Hu et al. 2019), refined at test by a second look
noise   the same backbone on nothing but the residuals of fixed high-pass filters, and their local levels

All take (batch, 3, size, size), RGB scaled to [-1, 1].
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as nnf
from torch.nn.utils.fusion import fuse_conv_bn_eval

from . import attention as attn

# The variants with TensorFlow's padding and mean/std 0.5: the ImageNet weights we start from fit them
# exactly, and fit `efficientnet_lite0` and its like without an error and with wrong answers.
BACKBONES = ("tf_efficientnet_lite0", "tf_efficientnet_lite2")
# Of timm's blocks: which convolution each batch norm follows.
FOLDED = {
    "EfficientNet": (("conv_stem", "bn1"), ("conv_head", "bn2")),
    "DepthwiseSeparableConv": (("conv_dw", "bn1"), ("conv_pw", "bn2")),
    "InvertedResidual": (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
}
REFINE_THRESHOLD = 0.1  # of the mean map's maximum: WS-DAN's crop at test
REFINE_PADDING = 0.05


@dataclass(frozen=True, kw_only=True)
class MemberConfig:
    """What must be known to build a member; stored in the header of its weights file."""

    kind: str  # a key of KINDS
    backbone: str = BACKBONES[0]
    input_size: int = 192
    margin: float = 1.5  # the crop's side in units of the face box
    attention_maps: int = 8
    finds: str = "generated"  # the kind of trace that it looks for (evidence.py sums kinds)
    temperature: float = 1.0  # logits are divided by it: calibration
    bias: float = 0.0  # and this is added


def _backbone(
    config: MemberConfig, **options: Any
) -> Any:  # timm's models have attributes that no type knows
    if config.backbone not in BACKBONES:
        raise ValueError(f"no backbone {config.backbone}: there are {', '.join(BACKBONES)}")
    return timm.create_model(config.backbone, **options)


class Plain(nn.Module):
    """An EfficientNet whose features, brought to length 1, have one linear output.

    What counts is the direction of the features and not their length, which follows how sharp and how rich
    in contrast a picture is.
    """

    SCALE = 16.0  # of the features of length 1, before the linear layer

    def __init__(self, config: MemberConfig) -> None:
        super().__init__()
        self.backbone = _backbone(config, num_classes=0, drop_rate=0.0)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(self.backbone.num_features, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits, (batch,)."""
        features = nnf.normalize(self.backbone(images).float(), dim=1) * self.SCALE
        logits: Tensor = self.head(self.dropout(features))[:, 0]
        return logits

    def predict(self, images: Tensor) -> Tensor:
        """The logits to use at test: here the same."""
        return self.forward(images)


@dataclass(frozen=True, kw_only=True)
class WsDanOutput:
    """logits (batch,), pooled (batch, maps * channels), attention (batch, maps, h, w)."""

    logits: Tensor
    pooled: Tensor
    attention: Tensor


class WsDan(nn.Module):
    """Weakly supervised data augmentation network on an EfficientNet."""

    SCALE = 100.0  # of the pooled vector of length 1, before the linear layer (paper's implementation)

    def __init__(self, config: MemberConfig) -> None:
        super().__init__()
        self.backbone = _backbone(config, num_classes=0, global_pool="")
        channels = self.backbone.num_features
        self.attention = nn.Sequential(
            nn.Conv2d(channels, config.attention_maps, 1, bias=False),
            nn.BatchNorm2d(config.attention_maps),
            nn.ReLU(),
        )
        self.head = nn.Linear(config.attention_maps * channels, 1, bias=False)

    def look(self, images: Tensor) -> WsDanOutput:
        """One pass."""
        features = self.backbone(images)
        attention = self.attention(features)
        pooled = attn.bilinear_pool(features, attention)
        return WsDanOutput(logits=self.head(pooled * self.SCALE)[:, 0], pooled=pooled, attention=attention)

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits of one pass, (batch,)."""
        return self.look(images).logits

    def predict(self, images: Tensor) -> Tensor:
        """Two passes: the image, and what the mean attention map points at; the mean of their logits."""
        first = self.look(images)
        mean_map = attn.enlarge(first.attention.mean(dim=1, keepdim=True), images)
        threshold = torch.full((len(images),), REFINE_THRESHOLD, device=images.device)
        closer = attn.crop(images, attn.crop_boxes(mean_map, threshold, REFINE_PADDING))
        return (first.logits + self.look(closer).logits) / 2


# Three of the thirty filters of the spatial rich model (Fridrich and Kodovsky 2012) that steganalysis
# networks start from: a 5x5 and a 3x3 second-order one, and a horizontal line.
_SRM = (
    (
        (-1, 2, -2, 2, -1),
        (2, -6, 8, -6, 2),
        (-2, 8, -12, 8, -2),
        (2, -6, 8, -6, 2),
        (-1, 2, -2, 2, -1),
    ),
    ((0, 0, 0, 0, 0), (0, -1, 2, -1, 0), (0, 2, -4, 2, 0), (0, -1, 2, -1, 0), (0, 0, 0, 0, 0)),
    ((0, 0, 0, 0, 0), (0, 0, 0, 0, 0), (0, 1, -2, 1, 0), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0)),
)
_SRM_SCALE = (12.0, 4.0, 2.0)
RESIDUAL_CLIP = 8.0 / 127.5  # larger residuals are edges, not noise
LEVEL_WINDOW = 9  # pixels, odd
LEVEL_FLOOR = 1e-4  # of the mean square: a residual of 0.08 grey levels, below what eight bits can hold


def residuals(images: Tensor) -> Tensor:
    """High-pass residuals of each colour: (batch, 9, h, w), clipped to +-1 (that is, +-8 grey levels)."""
    kernel = torch.tensor(_SRM, dtype=images.dtype, device=images.device)
    kernel = kernel / torch.tensor(_SRM_SCALE, dtype=images.dtype, device=images.device)[:, None, None]
    weight = kernel[:, None].repeat(3, 1, 1, 1)
    padded = nnf.pad(images, (2, 2, 2, 2), mode="reflect")
    return (nnf.conv2d(padded, weight, groups=3) / RESIDUAL_CLIP).clamp(-1, 1)


def noise_levels(noise: Tensor) -> Tensor:
    """How strong residuals are around each pixel: the log of their mean square in a window.

    A face from another camera, or smoothed by a warp, stands out as a patch of another level (Mahdian and
    Saic 2009 find splices so); the logarithm makes that a difference, whatever the level.

    Args:
        noise: (batch, channels, h, w), as `residuals` gives it.

    Returns:
        The same shape.
    """
    reach = LEVEL_WINDOW // 2
    padded = nnf.pad(noise.square(), (reach, reach, reach, reach), mode="reflect")
    return (nnf.avg_pool2d(padded, LEVEL_WINDOW, stride=1) + LEVEL_FLOOR).log()


class Noise(nn.Module):
    """Residuals and their local levels under the backbone; colours and smooth shapes never reach it."""

    def __init__(self, config: MemberConfig) -> None:
        super().__init__()
        self.backbone = _backbone(config, num_classes=0, drop_rate=0.0)
        # To the mean and spread that ImageNet's pictures have, or the backbone's first filters see nothing.
        self.scale = nn.BatchNorm2d(18)
        self.mix = nn.Conv2d(18, 3, 1)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(self.backbone.num_features, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits, (batch,)."""
        noise = residuals(images)
        evidence = self.scale(torch.cat([noise, noise_levels(noise)], dim=1))
        logits: Tensor = self.head(self.dropout(self.backbone(self.mix(evidence))))[:, 0]
        return logits

    def predict(self, images: Tensor) -> Tensor:
        """The logits to use at test: here the same."""
        return self.forward(images)


Member = Plain | WsDan | Noise
KINDS: dict[str, type[Member]] = {"plain": Plain, "wsdan": WsDan, "noise": Noise}


def build(config: MemberConfig) -> Member:
    """Builds a member with random weights."""
    return KINDS[config.kind](config)


def save(model: nn.Module, config: MemberConfig, path: Path) -> None:
    """Writes weights and configuration as safetensors: 16-bit floats, but batch statistics in 32 bits."""
    tensors = {
        name: value.contiguous().to(torch.float16 if "running_" not in name else torch.float32)
        for name, value in model.state_dict().items()
        if value.is_floating_point()
    }
    partial = path.with_suffix(".part")
    save_file(tensors, partial, metadata={"config": json.dumps(asdict(config))})
    partial.chmod(0o644)  # it is made readable to its owner only, and packages are read by another user
    partial.rename(path)


def load(path: Path) -> tuple[Member, MemberConfig]:
    """Reads what `save` wrote; the model is ready to predict (eval mode, channels last, 32-bit floats).

    Raises:
        RuntimeError: the tensors do not fit the configuration in the file's header.
    """
    with safe_open(path, framework="pt") as file:
        config = MemberConfig(**json.loads(file.metadata()["config"]))
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 (no mapping)
    model = build(config)
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise RuntimeError(f"{path.name} does not fit {config.kind}: lacks {missing}, has also {unexpected}")
    return channels_last(model.eval()), config


def fold_norms(model: Member) -> Member:
    """The same model, its batch norms written into the convolutions before them: a sixth less to compute.

    For predicting alone: what was folded can be neither trained nor saved.
    """
    for block in list(model.modules()):
        for convolution, norm in FOLDED.get(type(block).__name__, ()):
            after = getattr(block, norm)
            setattr(block, convolution, fuse_conv_bn_eval(getattr(block, convolution), after))
            setattr(block, norm, nn.Sequential(after.drop, after.act))
    return channels_last(model)


def channels_last(model: Member) -> Member:
    """The same model, laid out for pictures with channels last: 1.2 to 1.5 times faster on a CPU."""
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    return model


def to_tensor(crops: NDArray[np.uint8]) -> Tensor:
    """(n, size, size, 3) RGB uint8 to (n, 3, size, size) floats in [-1, 1], channels last in memory."""
    images = torch.from_numpy(np.ascontiguousarray(crops)).permute(0, 3, 1, 2)
    return images.to(torch.float32).div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
