"""Changes of pixels where the network is: uint8 crops become float ones, mirrored, blurred, recoloured, with noise.

What happens to a crop follows from its :class:`Appearance` alone, so it is the same on every device (up to the rounding
of floats) and however a batch is divided. The CPU has a path of its own: OpenCV does there what torch's operators take
ten times as long for, crop by crop.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from trackcli_cache.batches import Allocate

from trackcli.training.appearance import LUMA, Appearance

_NOISE_STD = float(np.sqrt(4 * (256**2 - 1) / 12))
"""Of the sum of four random bytes."""


def augment_images(images: Tensor, look: Appearance, device: torch.device, allocate: Allocate | None = None) -> Tensor:
    """Change crops on a device.

    Args:
        images: ``(B, 3, S, S)`` uint8 RGB in the host's memory; channels last, or they are copied.
        look: What shall change, for each of them.
        device: Where the result is wanted.
        allocate: Makes the result's float32 array on the CPU; by default it is a new one.

    Returns:
        ``(B, 3, S, S)`` float32 in 0..255 on ``device``, channels last; whole numbers, unless there is noise.
    """
    pixels = images.permute(0, 2, 3, 1).contiguous()
    if device.type == "cpu":
        shape = tuple(pixels.shape)
        result = np.empty(shape, np.float32) if allocate is None else allocate(shape)
        _on_cpu(pixels.numpy(), look, result)
        changed = torch.from_numpy(result)
    else:
        changed = _with_torch(pixels, look, device)
    return changed.permute(0, 3, 1, 2)


def _on_cpu(source: NDArray[np.uint8], look: Appearance, result: NDArray[np.float32]) -> None:
    recoloured, blurred, noisy = _changes_colour(look).tolist(), _is_blurred(look).tolist(), (look.noise > 0).tolist()
    sizes_wh, biases, flipped = look.blur_wh.tolist(), look.bias.tolist(), look.flip.tolist()
    affines = np.zeros((len(source), 3, 4), np.float32)
    affines[:, :, :3] = look.matrix
    # One crop's worth of memory stays in the processor's cache; a new one for each step of each crop does not.
    mirrored, smooth, coloured = (np.empty_like(source[0]) for _ in range(3))
    for row, out in enumerate(result):
        image = cv2.flip(source[row], 1, mirrored) if flipped[row] else source[row]
        if blurred[row]:
            image = cv2.blur(image, sizes_wh[row], smooth, borderType=cv2.BORDER_REPLICATE)
        if recoloured[row]:
            affines[row, :, 3] = biases[row] * _mean_luma(image)
            image = cv2.transform(image, affines[row], coloured)
        np.copyto(out, image)
        if noisy[row]:
            one, float_image = slice(row, row + 1), torch.from_numpy(out)
            float_image += _noise(look.noise[one], look.noise_key[one], float_image[None])[0]
            float_image.clamp_(0.0, 255.0)


def _mean_luma(image: NDArray[np.uint8]) -> float:
    red, green, blue, _ = cv2.mean(image)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def _with_torch(pixels: Tensor, look: Appearance, device: torch.device) -> Tensor:
    """The same with torch's operators on whole batches."""
    moved = pixels.to(device, non_blocking=True)
    flip = _moved(look.flip, device)[:, None, None, None]
    images = torch.where(flip, moved.flip(2), moved).float()
    blurred = np.flatnonzero(_is_blurred(look))
    if len(blurred):
        rows = _moved(blurred, device)
        images[rows] = _box_blur(images[rows], _moved(look.blur_wh[blurred], device))
    if _changes_colour(look).any():
        luma = images.mean(dim=(1, 2)) @ images.new_tensor(LUMA)
        bias = (_moved(look.bias, device) * luma)[:, None, None].expand(-1, 1, 3)
        flat = images.flatten(1, 2)
        images = torch.baddbmm(bias, flat, _moved(look.matrix, device).mT).view_as(images).clamp_(0.0, 255.0).round_()
    noisy = np.flatnonzero(look.noise > 0)
    if len(noisy):
        rows = _moved(noisy, device)
        images[rows] += _noise(look.noise[noisy], look.noise_key[noisy], images[rows])
        images.clamp_(0.0, 255.0)
    return images


def _moved(values: NDArray[np.generic], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device, non_blocking=True)


def _changes_colour(look: Appearance) -> NDArray[np.bool_]:
    changes: NDArray[np.bool_] = (look.matrix != np.eye(3, dtype=np.float32)).any(axis=(1, 2)) | (look.bias != 0)
    return changes


def _is_blurred(look: Appearance) -> NDArray[np.bool_]:
    return np.asarray((look.blur_wh > 1).any(axis=1))


def _box_blur(images: Tensor, sizes_wh: Tensor) -> Tensor:
    """Mean over a box around each pixel, rounded; the border's pixels are repeated outside.

    Sums are integers, and a mean over an odd number of them is never halfway between two: every device rounds alike.

    Args:
        images: ``(B, H, W, 3)`` float, whole numbers.
        sizes_wh: ``(B, 2)`` odd int64.
    """
    across = _running_sum(images.to(torch.int32).transpose(1, 2), sizes_wh[:, 0]).transpose(1, 2)
    total = _running_sum(across, sizes_wh[:, 1])
    return (total.float() / sizes_wh.prod(dim=1)[:, None, None, None]).round()


def _running_sum(values: Tensor, sizes: Tensor) -> Tensor:
    """Sum of ``sizes[b]`` neighbours along dimension 1 of int32 ``(B, L, K, 3)``: two reads of a running total."""
    length = values.shape[1]
    total = torch.nn.functional.pad(values.cumsum(dim=1, dtype=torch.int32), (0, 0, 0, 0, 1, 0))
    place, reach = torch.arange(length, device=values.device)[None], (sizes[:, None] - 1) // 2
    first, last = (place - reach).clamp(min=0), (place + reach).clamp(max=length - 1)

    def column(index: Tensor) -> Tensor:
        return index[:, :, None, None].expand(-1, -1, *values.shape[2:])

    inside = total.gather(1, column(last + 1)) - total.gather(1, column(first))
    before = (reach - place).clamp(min=0)[:, :, None, None].int() * values[:, :1]
    after = (place + reach - (length - 1)).clamp(min=0)[:, :, None, None].int() * values[:, -1:]
    return inside + before + after


def _noise(std: NDArray[np.float32], keys: NDArray[np.int64], images: Tensor) -> Tensor:
    """Nearly normal noise in the shape of ``images``, from integers that are exact everywhere: no generator's state."""
    count = images[0].numel()
    device = images.device
    key = _hash(_moved(keys, device))[:, None]
    bits = _hash(torch.arange(count, device=device)[None] ^ key)
    bytes_sum = (bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24)
    normal = (bytes_sum.float() - 4 * 127.5) * (_moved(std, device)[:, None] / _NOISE_STD)
    return normal.view_as(images)


def _hash(numbers: Tensor) -> Tensor:
    """Mix 32-bit numbers kept in int64 (C. Wellons' ``lowbias32``)."""
    mask = 0xFFFFFFFF
    mixed = numbers & mask
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        mixed = mixed ^ (mixed >> shift)
        mixed = (mixed * factor) & mask
    return mixed ^ (mixed >> 16)
