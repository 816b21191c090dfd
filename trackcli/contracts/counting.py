"""What a loss divides by when it averages over a part of its elements, such as positive anchors."""

from __future__ import annotations

from torch import Tensor


class Counting:
    """Counts within one batch. In training a step may be spread over processes and parts; then another one counts
    over the whole step, so that its gradient is that of one large batch: ``batch.counting``.

    A loss must ask the same number of times for every batch, in the same order, whatever the batch holds.
    """

    def divisor(self, count: Tensor, *, least: float = 1.0) -> Tensor:
        """What to divide a sum over ``count`` elements by, instead of by the count itself.

        Args:
            count: Scalar: how many elements of this batch were summed, or the sum of their weights.
            least: Lower bound of the whole step's count, so that nothing is divided by 0.
        """
        return count.float().clamp(min=least)


BATCH_ALONE = Counting()


def masked_mean(values: Tensor, mask: Tensor, counting: Counting = BATCH_ALONE) -> Tensor:
    """Mean over the true elements of ``mask``; 0, with zero gradient, where there are none.

    Args:
        values: Any shape; what is masked out may be NaN.
        mask: Bool, of the same shape.
        counting: ``batch.counting``: the mean is taken over all batches of the step.
    """
    return values.where(mask, 0).sum() / counting.divisor(mask.sum())
