"""The captured step: whether a composition's step exports as one graph, and never makes the host wait."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from trackcli.composition.model import TrackerModel
from trackcli.contracts.state import State
from trackcli.geometry.crop import CropMap
from trackcli.testing.checks import expect, expect_same, leaves
from trackcli.testing.scenes import Scene
from trackcli.tracking.step import TargetState, track_step

_READS_VALUES = (
    "item",
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "_unique",
    "unique_dim",
    "unique_consecutive",
)
"""ATen operations that read tensor values back to the host, or whose result's shape depends on values."""

_REMEDY = (
    "use torch.where, masks and clamp instead of if, .item(), bool(tensor) and boolean indexing; what must branch on "
    "values belongs into a link's rows_to_update() and update()"
)
_MOST_SHOWN = 200


class ExportableStep(nn.Module):
    """:func:`~trackcli.tracking.step.track_step` as a module whose arguments and results are plain tensors."""

    def __init__(self, model: TrackerModel, size: int) -> None:
        super().__init__()
        self.model = model
        self.size = size

    def forward(  # noqa: PLR0917  # torch.export names arguments by position
        self,
        kernel: State,
        head_kernel: State,
        links: dict[str, State],
        rest: tuple[Tensor, Tensor, Tensor, Tensor],
        crops: Tensor,
        windows_xyxy: Tensor,
        frame_sizes_wh: Tensor,
    ) -> dict[str, Tensor]:
        """All tensors of the selection and the next state, by name."""
        state = TargetState(kernel, head_kernel, links, *rest)
        selection, following, _ = track_step(self.model, state, crops, CropMap(windows_xyxy, self.size), frame_sizes_wh)
        remembered = replace(following, kernel={}, head_kernel={})
        return {**leaves(selection, "selection"), **leaves(remembered, "state")}


def expect_exports(model: TrackerModel, scene: Scene) -> None:
    """The step exports, reads no value back, and the exported program does what the model does, for other values too.

    Raises:
        AssertionError: naming the operation or the line that depends on values, and what to write instead.
    """
    model.eval().requires_grad_(False)
    step = ExportableStep(model, scene.crop.search_size)
    with torch.no_grad():
        arguments = _arguments(model, scene, later=1)
        try:
            program = torch.export.export(step, arguments, strict=False)
        except Exception as error:  # torch.export raises whatever tracing meets
            reason = " ".join(str(error).split())[:_MOST_SHOWN]
            raise AssertionError(f"the step does not export ({type(error).__name__}: {reason}); {_REMEDY}") from error
        for operation in _operations(program):
            expect(
                not any(f"aten.{name}." in operation for name in _READS_VALUES),
                f"the step reads values back ({operation}); {_REMEDY}",
            )
        other = _arguments(model, scene, later=2)
        expect_same(
            program.module()(*other),
            step(*other),
            f"the exported step gives other results than the model; a value was frozen while tracing: {_REMEDY}",
            1e-4,
        )


def expect_no_synchronisation(model: TrackerModel, scene: Scene) -> None:
    """On a CUDA device the host never waits within the step; without one, :func:`expect_exports` has to do.

    Raises:
        AssertionError: saying how often it waits, and what to write instead.
    """
    if not torch.cuda.is_available():
        return
    model.eval().requires_grad_(False)
    with torch.no_grad():
        arguments = tree_map_only(Tensor, Tensor.cuda, _arguments(model, scene, later=1))
        step = ExportableStep(model, scene.crop.search_size).cuda()
        step(*arguments)  # what is set up once (memory, kernels) may wait
        count = count_synchronisations(lambda: step(*arguments))
    expect(count == 0, f"the host waits {count} times for the device within the step; {_REMEDY}")


def count_synchronisations(run: Callable[[], object]) -> int:
    """How often the host waits for the CUDA device while ``run`` runs."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run()
    finally:
        torch.cuda.set_sync_debug_mode(before)
    return sum("synchronizing CUDA operation" in str(warning.message) for warning in caught)


def _operations(program: torch.export.ExportedProgram) -> set[str]:
    """Names of all operations, those in nested graphs (autocast and no_grad regions) included."""
    graphs = [module.graph for module in program.graph_module.modules() if isinstance(module, torch.fx.GraphModule)]
    return {str(node.target) for graph in graphs for node in graph.nodes}


def _arguments(model: TrackerModel, scene: Scene, *, later: int) -> tuple[object, ...]:
    state = scene.start(model)
    crops, crop_map = scene.search(state, later=later)
    rest = (state.boxes_xyxy, state.search_boxes_xyxy, state.shape_index, state.frame_index)
    return (
        state.kernel,
        state.head_kernel,
        state.links,
        rest,
        crops,
        crop_map.windows_xyxy,
        scene.frame_sizes_wh(),
    )
