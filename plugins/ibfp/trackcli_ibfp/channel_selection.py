"""Compressed space channel selection (CSCS): the search region says which of the template's channels count."""

from __future__ import annotations

from torch import Tensor, nn


class ChannelSelection(nn.Module):
    """``G = conv(A) + F``, ``A = W *dw conv(F)``, ``W = conv(gap(U)) + conv(gmp(U))``.

    The convolutions are 1×1, as figure 4 projects vectors and cells alike. W is 1×1, so that its depth-wise
    correlation multiplies each channel by a number. Nothing stands between them, as nothing is printed.

    Args:
        channels: c, of template and search region.
        compressed: d = η c.

    Source: Pi et al. 2021, section III.C, equations 6 to 8.
    """

    def __init__(self, channels: int, compressed: int) -> None:
        super().__init__()
        self.of_average = nn.Conv2d(channels, compressed, 1)
        self.of_maximum = nn.Conv2d(channels, compressed, 1)
        self.compress = nn.Conv2d(channels, compressed, 1)
        self.recover = nn.Conv2d(compressed, channels, 1)

    def weights(self, search: Tensor) -> Tensor:
        """W ``(B, d, 1, 1)`` of U ``(B, c, H, W)``: equation 6."""
        average, maximum = search.mean(dim=(2, 3), keepdim=True), search.amax(dim=(2, 3), keepdim=True)
        added: Tensor = self.of_average(average) + self.of_maximum(maximum)
        return added

    def forward(self, template: Tensor, compressed: Tensor, search: Tensor) -> Tensor:
        """The re-weighted template, equations 7 and 8.

        Args:
            template: F ``(B, c, k, k)``.
            compressed: ``self.compress(F)`` ``(B, d, k, k)``, worked out once per target.
            search: U ``(B, c, H, W)``.

        Returns:
            G ``(B, c, k, k)``.
        """
        selected: Tensor = self.recover(self.weights(search) * compressed) + template
        return selected
