"""Names of 2019-2024 that the image's releases no longer have. A test asks the image for each."""

from __future__ import annotations

from typing import Final

_PLAIN = "write the plain Python type"
_NUMPY: Final[dict[str, str]] = {
    **dict.fromkeys(("int", "float", "complex", "object", "str"), _PLAIN),
    "unicode": "write str",
    "float_": "np.float64",
    "complex_": "np.complex128",
    "unicode_": "np.str_",
    "string_": "np.bytes_",
    **dict.fromkeys(("Inf", "Infinity", "infty", "PINF"), "np.inf"),
    "NINF": "-np.inf",
    **dict.fromkeys(("NaN", "NAN"), "np.nan"),
    "product": "np.prod",
    "cumproduct": "np.cumprod",
    "sometrue": "np.any",
    "alltrue": "np.all",
    "round_": "np.round",
    "asfarray": "np.asarray(x, dtype=float)",
    "find_common_type": "np.promote_types",
    "msort": "np.sort(x, axis=0)",
    "sctypes": "name the types",
    "cast": "np.asarray(x, dtype=…)",
}
REMOVED: Final[dict[str, str]] = {
    **{f"numpy.{name}": remedy for name, remedy in _NUMPY.items()},
    "PIL.Image.ANTIALIAS": "Image.Resampling.LANCZOS",
    "PIL.Image.CUBIC": "Image.Resampling.BICUBIC",
    "PIL.Image.LINEAR": "Image.Resampling.BILINEAR",
    **{
        f"scipy.misc.{name}": "imageio or PIL"
        for name in ("imread", "imresize", "imsave", "imrotate", "toimage", "fromimage")
    },
    "skimage.measure.compare_ssim": "skimage.metrics.structural_similarity",
    "skimage.measure.compare_psnr": "skimage.metrics.peak_signal_noise_ratio",
    "sklearn.externals.joblib": "import joblib itself",
    "sklearn.externals.six": "plain Python types",
    "sklearn.cross_validation": "sklearn.model_selection",
    "torch._six": "plain Python types",
    "torchvision.models.utils": "torch.hub.load_state_dict_from_url, but there is no network",
    "albumentations.augmentations.functional": "albumentations.augmentations.<topic>.functional, or OpenCV",
    "albumentations.augmentations.transforms.functional": "OpenCV",
    "albumentations.pytorch.ToTensor": "albumentations.pytorch.ToTensorV2",
    "albumentations.pytorch.transforms.ToTensor": "albumentations.pytorch.ToTensorV2",
    "albumentations.IAAAdditiveGaussianNoise": "albumentations.GaussNoise",
    "albumentations.IAAPerspective": "albumentations.Perspective",
    "albumentations.Flip": "HorizontalFlip and VerticalFlip",
    "cv2.xfeatures2d": "cv2.SIFT_create",
    "pandas.Panel": "a DataFrame with a MultiIndex",
    "pandas.io.json.json_normalize": "pandas.json_normalize",
    "matplotlib.cm.get_cmap": "matplotlib.colormaps[name]",
    **{
        f"collections.{name}": f"collections.abc.{name}"
        for name in ("Callable", "Iterable", "Iterator", "Mapping", "MutableMapping", "Sequence", "Set")
    },
    "fractions.gcd": "math.gcd",
    "time.clock": "time.perf_counter",
    "inspect.getargspec": "inspect.getfullargspec",
    "asyncio.coroutine": "async def",
}


def removed_part(name: str) -> str | None:
    """Return the row that a dotted name falls under, itself or one it begins with; None if none does."""
    parts = name.split(".")
    heads = (".".join(parts[:count]) for count in range(2, len(parts) + 1))
    return next((head for head in heads if head in REMOVED), None)
