"""Colour augmentation, on the device and on whole batches."""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)


def jitter_colors(images: Tensor, sample_ids: Tensor, *, strength: float, branch: int, grey: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and tint, each image by its own amounts.

    Args:
        images: ``(B, 3, H, W)`` float in 0..255.
        sample_ids: ``(B,)`` int64; the amounts depend on these and ``branch`` alone.
        strength: Largest relative change; 0 leaves the images as they are.
        branch: 0 for templates, 1 for search regions, so that the two change differently.
        grey: ``(B,)`` bool: which images lose their colour.

    Returns:
        ``(B, 3, H, W)`` float in 0..255.
    """
    amounts = torch.stack([_amounts(int(sample), branch) for sample in sample_ids.cpu()]).to(images.device)
    brightness, contrast, saturation = (1 + strength * amounts[:, :3]).unbind(dim=1)
    tint = 1 + 0.3 * strength * amounts[:, 3:6]
    luma = (images * images.new_tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True)
    saturation = torch.where(grey, torch.zeros_like(saturation), saturation)
    tint = torch.where(grey[:, None], torch.ones_like(tint), tint)
    images = torch.lerp(luma, images, saturation[:, None, None, None]) * tint[:, :, None, None]
    middle = luma.mean(dim=(2, 3), keepdim=True)
    images = torch.lerp(middle, images, contrast[:, None, None, None]) * brightness[:, None, None, None]
    return images.clamp(0, 255)


def _amounts(sample_id: int, branch: int) -> Tensor:
    """Six numbers in -1..1."""
    generator = torch.Generator().manual_seed(sample_id * 2 + branch)
    return torch.rand(6, generator=generator) * 2 - 1
