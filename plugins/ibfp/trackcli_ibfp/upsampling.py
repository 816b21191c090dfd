"""Instance-based upsampling (IBU), and the plain fusion that it is compared with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackcli.builtin.depthwise import correlate_per_channel


def same_size_correlation(search: Tensor, kernel: Tensor, *, mean: bool) -> Tensor:
    """``R = T *dw U``: depth-wise correlation whose response has the search map's size.

    Outside the map there is 0. The kernel's middle cell lies on the cell that responds.

    Args:
        search: U ``(B, C, H, W)``.
        kernel: T ``(B, C, k, k)``, k odd.
        mean: Over the kernel's cells, instead of their sum.

    Returns:
        R ``(B, C, H, W)``.

    Source: Pi et al. 2021, equation 3.
    """
    reach = kernel.shape[-1] // 2
    response = correlate_per_channel(F.pad(search, (reach, reach, reach, reach)), kernel)
    return response / (kernel.shape[-1] * kernel.shape[-2]) if mean else response


class InstanceUpsampling(nn.Module):
    """One IBU module behind its correlation: reduce [R; U], upsample, fuse with the next shallower level.

    The transposed convolution is 3×3 with stride 2, padding 1 and output padding 1: output cell 2j lies on input cell
    j, as the cells of a backbone with 'same' padding do. The common 4×4 would lie half a cell off.

    Args:
        deep: c₀, channels of U⁰.
        shallow: c₁, channels of F¹ and of what comes out.

    Source: Pi et al. 2021, section III.B, figure 3.
    """

    def __init__(self, deep: int, shallow: int) -> None:
        super().__init__()
        self.reduce = _conv_bn_relu(2 * deep, deep, 1)
        self.upsample = nn.ConvTranspose2d(deep, shallow, 3, stride=2, padding=1, output_padding=1)
        self.fuse = _conv_bn_relu(2 * shallow, shallow, 3)

    def forward(self, response: Tensor, deep: Tensor, shallow: Tensor) -> Tensor:
        """R ``(B, c₀, H, W)``, U⁰ alike, F¹ ``(B, c₁, H', W')`` with H' = 2H or 2H − 1 → U¹ ``(B, c₁, H', W')``."""
        upsampled = self.upsampled(response, deep)[..., : shallow.shape[-2], : shallow.shape[-1]]
        fused: Tensor = self.fuse(torch.cat((upsampled, shallow), dim=1))  # equation 5
        return fused

    def upsampled(self, response: Tensor, deep: Tensor) -> Tensor:
        """V⁰ = TConv(Concat(R, U⁰)), the reducing convolution of figure 3 included: equation 4."""
        result: Tensor = self.upsample(self.reduce(torch.cat((response, deep), dim=1)))
        return result


class PlainFusion(nn.Module):
    """Levels brought to the shallowest one's size, concatenated, and reduced to its width: table I, second row.

    Template and search region pass through it alike.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.fuse = _conv_bn_relu(sum(widths), widths[0], 3)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps shallow to deep, ``(B, C_i, H_i, W_i)`` → ``(B, C_0, H_0, W_0)``."""
        finest = maps[0]
        same = [upsample_aligned(each, 2**depth, finest.shape[-2:]) for depth, each in enumerate(maps)]
        fused: Tensor = self.fuse(torch.cat(same, dim=1))
        return fused


def upsample_aligned(maps: Tensor, factor: int, size: tuple[int, int] | torch.Size) -> Tensor:
    """Bilinear, with output cell ``factor · j`` on input cell j; beyond the last cell its value goes on.

    Args:
        maps: ``(B, C, H, W)``.
        factor: Output cells per input cell.
        size: Height and width of the result.
    """
    if factor == 1:
        return maps
    height, width = ((side - 1) * factor + 1 for side in maps.shape[-2:])
    fine = F.interpolate(maps, size=(height, width), mode="bilinear", align_corners=True)
    more = (0, max(0, size[1] - width), 0, max(0, size[0] - height))
    return F.pad(fine, more, mode="replicate")[..., : size[0], : size[1]]


def _conv_bn_relu(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
