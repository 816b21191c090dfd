"""The classifiers that learn online: layers that are fitted once, then a filter that goes on learning.

Samples are ``(B, C, n, H, W)``: B targets, n samples of each, so that a product over all samples of a target is one
matrix product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trackcli.contracts.state import State
from trackcli_ibfp.config_online import OnlineUpdateConfig
from trackcli_ibfp.solvers import Linearised

FILTER = "filter"
PROJECTION = "projection"
LAYERS = ("layer1", "layer2", "layer3")


def respond(filters: Tensor, samples: Tensor) -> Tensor:
    """Correlate every sample of a target with its filter, padded by half of it.

    As a matrix product and shifted sums: far quicker than a convolution with one output channel.

    Args:
        filters: ``(B, C, k, k)``.
        samples: ``(B, C, n, H, W)``.

    Returns:
        ``(B, n, h, w)``: H and W for an odd k; one more for an even k, whose cells lie half a cell before the map's.
    """
    batch, _, count, height, width = samples.shape
    side = filters.shape[-1]
    shares = filters.flatten(2).transpose(1, 2) @ samples.flatten(2)  # (B, k², n · H · W)
    shares = shares.reshape(batch, side * side, count, height * width).transpose(1, 2).flip(2)
    summed = F.fold(
        shares.reshape(batch * count, side * side, -1),
        response_size(height, width, side),
        side,
        padding=_fold_padding(side),
    )
    return summed.reshape(batch, count, *summed.shape[-2:])


def filter_gradient(maps: Tensor, samples: Tensor, side: int) -> Tensor:
    """The transpose of :func:`respond` by the filter: ``(B, n, h, w)`` → ``(B, C, k, k)``."""
    gradient = samples.flatten(2) @ _shifted(maps, side).transpose(1, 2)
    return gradient.reshape(*samples.shape[:2], side, side)


def sample_gradient(maps: Tensor, filters: Tensor, samples: Tensor) -> Tensor:
    """The transpose of :func:`respond` by the samples: ``(B, n, h, w)`` → ``(B, C, n, H, W)``."""
    return (filters.flatten(2) @ _shifted(maps, filters.shape[-1])).reshape(samples.shape)


def response_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Cells of the response to a map."""
    more = 1 - side % 2
    return height + more, width + more


def _fold_padding(side: int) -> int:
    return side - 1 - side // 2


def _shifted(maps: Tensor, side: int) -> Tensor:
    """``(B, n, h, w)`` → ``(B, k², n · H · W)``: at each sample cell what each filter cell was added to."""
    batch, count = maps.shape[:2]
    columns = F.unfold(maps.reshape(batch * count, 1, *maps.shape[-2:]), side, padding=_fold_padding(side))
    return columns.reshape(batch, count, side * side, -1).flip(2).transpose(1, 2).flatten(2)


@dataclass(frozen=True)
class FilterOnSamples:
    """The last layer alone, on what the layers before it made; linear.

    Attributes:
        samples: ``(B, C, n, H, W)``.
    """

    samples: Tensor

    def linearise(self, parameters: State) -> Linearised:
        """Parameter ``filter (B, C, k, k)``."""
        side = parameters[FILTER].shape[-1]
        return Linearised(
            respond(parameters[FILTER], self.samples),
            lambda change: respond(change[FILTER], self.samples),
            lambda maps: {FILTER: filter_gradient(maps, self.samples, side)},
        )


@dataclass(frozen=True)
class ProjectedFilter:
    """ATOM's two layers together: a 1×1 that narrows, then the filter.

    Attributes:
        features: ``(B, F, n, H, W)``.

    Source: Danelljan et al. 2019 (ATOM), section 3.3, equation 3 without activation in between.
    """

    features: Tensor

    def linearise(self, parameters: State) -> Linearised:
        """Parameters ``filter (B, C, k, k)`` and ``projection (B, C, F)``."""
        filters, projection = parameters[FILTER], parameters[PROJECTION]
        samples = project(projection, self.features)

        def forward(change: State) -> Tensor:
            through_projection = respond(filters, project(change[PROJECTION], self.features))
            return respond(change[FILTER], samples) + through_projection

        def backward(maps: Tensor) -> State:
            of_samples = sample_gradient(maps, filters, samples)
            return {
                FILTER: filter_gradient(maps, samples, filters.shape[-1]),
                PROJECTION: of_samples.flatten(2) @ self.features.flatten(2).transpose(1, 2),
            }

        return Linearised(respond(filters, samples), forward, backward)


@dataclass(frozen=True)
class LayeredFilter:
    """The paper's four layers together: three 3×3 with ReLU, then the filter; differentiated by torch.

    Attributes:
        features: ``(B, F, n, H, W)``.

    Source: Pi et al. 2021, section IV.A.
    """

    features: Tensor

    def linearise(self, parameters: State) -> Linearised:
        """Parameters ``filter`` and ``layer1`` … ``layer3``, each ``(B, C, C', 3, 3)``."""
        names = tuple(parameters)

        def response_of(*leaves: Tensor) -> Tensor:
            given = dict(zip(names, leaves, strict=True))
            return respond(given[FILTER], layered(given, features))

        # Tracking runs in inference mode, whose tensors cannot be differentiated: copies can.
        with torch.inference_mode(False):
            features = self.features.clone()
            leaves = tuple(leaf.clone() for leaf in parameters.values())
            pulled: Any = torch.func.vjp(response_of, *leaves)  # typed for has_aux only
            response, transposed = pulled

        def forward(change: State) -> Tensor:
            with torch.inference_mode(False):
                pushed: Any = torch.func.jvp(response_of, leaves, tuple(change[name].clone() for name in names))
            changed: Tensor = pushed[1]
            return changed

        def backward(maps: Tensor) -> State:
            with torch.inference_mode(False):
                return dict(zip(names, transposed(maps.clone()), strict=True))

        return Linearised(response, forward, backward)


def project(projection: Tensor, features: Tensor) -> Tensor:
    """``(B, C, F)`` on ``(B, F, n, H, W)`` → ``(B, C, n, H, W)``."""
    return (projection @ features.flatten(2)).reshape(len(features), -1, *features.shape[2:])


def layered(parameters: State, features: Tensor) -> Tensor:
    """Three 3×3 convolutions with ReLU, each target with its own: ``(B, F, n, H, W)`` → ``(B, C, n, H, W)``."""
    batch, _, count, height, width = features.shape
    flat = features.permute(2, 0, 1, 3, 4).reshape(count, -1, height, width)
    for name in LAYERS:
        flat = F.conv2d(flat, parameters[name].flatten(0, 1), padding=1, groups=batch).relu()
    return flat.reshape(count, batch, -1, height, width).permute(1, 2, 0, 3, 4).contiguous()


def embed(parameters: State, features: Tensor) -> Tensor:
    """What the filter sees: ``(B, F, n, H, W)`` → ``(B, C, n, H, W)``."""
    if PROJECTION in parameters:
        return project(parameters[PROJECTION], features)
    return layered(parameters, features)


def on_features(parameters: State, features: Tensor) -> ProjectedFilter | LayeredFilter:
    """All layers together, as they are fitted to the first frame."""
    return ProjectedFilter(features) if PROJECTION in parameters else LayeredFilter(features)


def fresh_parameters(config: OnlineUpdateConfig, features: Tensor) -> State:
    """First weights, the same for every target: random layers, and a filter of zeros.

    Args:
        config: Its classifier, widths and seed.
        features: ``(B, F, n, H, W)``, for number, width, type and device.
    """
    generator = torch.Generator().manual_seed(config.seed)
    batch, inputs = features.shape[:2]

    def drawn(*shape: int, fan_in: int, gain: float) -> Tensor:
        one = torch.randn(shape, generator=generator) * math.sqrt(gain / fan_in)
        return one.to(features).expand(batch, *shape).clone()

    parameters: State = {FILTER: features.new_zeros(batch, config.channels, config.filter_cells, config.filter_cells)}
    if config.classifier == "atom":
        return {**parameters, PROJECTION: drawn(config.channels, inputs, fan_in=inputs, gain=1.0)}
    for name in LAYERS:
        parameters[name] = drawn(config.channels, inputs, 3, 3, fan_in=9 * inputs, gain=2.0)
        inputs = config.channels
    return parameters


def normalised(features: Tensor, power: float) -> Tensor:
    """Scale each sample so that the mean of ``|x|^power`` over channels and cells is 1: ``(B, F, n, H, W)``.

    Source: ATOM's public parameters (``normalize_power``, 2).
    """
    if not power:
        return features
    mean = features.abs().pow(power).mean(dim=(1, 3, 4), keepdim=True)
    return features / mean.pow(1 / power).clamp(min=math.sqrt(torch.finfo(features.dtype).tiny))
