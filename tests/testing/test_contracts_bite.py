"""Every check of the contracts bites: a component that breaks just that promise fails, and is told how."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from trackcli.errors import PluginError
from trackcli.host.specs import BackboneSpec, HeadSpec, LossSpec, MatcherSpec, PostprocessorSpec
from trackcli.testing import BackboneContract, HeadContract, LinkContract, LossContract, MatcherContract

RESNET, RPN = "trackcli.builtin.config:ResNet18Config", "trackcli.builtin.config:RpnConfig"
DEPTHWISE, HOLD = "trackcli.builtin.config:DepthwiseConfig", "trackcli.builtin.config:HoldConfig"
RPN_LOSS = "trackcli.builtin.config:RpnLossConfig"
PLAIN_HOLD = "trackcli.builtin.postprocessors.track:Hold"
PLAIN_RESNET = "trackcli.builtin.backbones.resnet18:ResNet18"
PLAIN_MATCHER = "trackcli.builtin.matchers.correlation:DepthwiseCorrelation"


@pytest.fixture(autouse=True)
def importable_parts(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def part(name):
    return f"contract_wrong_parts:{name}"


def config(name):
    return f"contract_wrong_configs:{name}"


def fails(contract, check, message):
    with pytest.raises((AssertionError, PluginError), match=message):
        getattr(contract(), check)()


def link(factory, config=HOLD, **more):
    more = {"stage": "track", "summary": "wrong", **more}

    class Wrong(LinkContract):
        spec = PostprocessorSpec(name="wrong", factory=factory, config=config, **more)

    return Wrong


def backbone(factory, config=RESNET):
    class Wrong(BackboneContract):
        spec = BackboneSpec(name="wrong", summary="wrong", factory=factory, config=config)
        settings: ClassVar = {"depth": 2}

    return Wrong


def matcher(factory, config=DEPTHWISE):
    class Wrong(MatcherContract):
        spec = MatcherSpec(name="wrong", summary="wrong", factory=factory, config=config)
        settings: ClassVar = {"channels": 16, "template_cells": 4}

    return Wrong


def head(factory, config=RPN):
    class Wrong(HeadContract):
        spec = HeadSpec(
            name="wrong",
            summary="wrong",
            factory=factory,
            config=config,
            default_losses=("rpn",),
            default_postprocessors=("select", "clip"),
        )
        settings: ClassVar = {"hidden": 16, "scale": 4.0}

    return Wrong


def loss(factory):
    class Wrong(LossContract):
        spec = LossSpec(name="wrong", summary="wrong", factory=factory, config=RPN_LOSS)

    return Wrong


LINKS = [
    (PLAIN_HOLD, part("ConfigBesideTorch"), "test_plugin_modules_import_without_torch", "imports torch"),
    (PLAIN_HOLD, config("ChangedByFiles"), "test_settings_round_trip", "settings change on their way"),
    (PLAIN_HOLD, config("NoPostprocessor"), "test_settings_round_trip", "is no PostprocessorConfig"),
    (PLAIN_HOLD, config("Forgiving"), "test_unknown_settings_are_refused", "extra='forbid'"),
    (part("MeanOfAll"), HOLD, "test_a_batch_equals_its_rows_one_by_one", "alone and in a batch of 3 disagree"),
    (part("GrowingState"), HOLD, "test_its_state_keeps_its_form", "keeps the shape start"),
    (part("NoSuchSize"), HOLD, "test_its_result_has_the_shapes_of_its_stage", r"shape_index is \[7, 7, 7\]"),
    (part("UpdatesByNumber"), HOLD, "test_it_names_rows_to_update_on_the_host", "one bool per target"),
    (part("SharedMemory"), HOLD, "test_a_row_restarts_alone", "restarting one target disturbs the others"),
    (part("CountsOnItself"), HOLD, "test_a_row_restarts_alone", "nothing on the module"),
    (part("Flat"), HOLD, "test_it_tracks_three_frames", "a box has no area"),
]


@pytest.mark.parametrize(("factory", "settings", "check", "message"), LINKS)
def test_a_wrong_link_is_told(factory, settings, check, message):
    fails(link(factory, settings), check, message)


def test_a_contract_without_a_component_is_told():
    class Empty(LinkContract):
        pass

    fails(Empty, "test_settings_round_trip", "names no postprocessor")


@pytest.mark.parametrize(
    ("factory", "settings", "check", "message"),
    [
        (part("MovedBackbone"), RESNET, "test_its_levels_are_as_declared", "has offset 8.5; .* declares 0.5"),
        (PLAIN_RESNET, config("Moved"), "test_its_cells_look_where_their_offsets_say", "looks at"),
        (PLAIN_RESNET, config("WiderLevels"), "test_its_cells_look_where_their_offsets_say", "looks at"),
        (part("BorrowedStages"), RESNET, "test_its_stages_are_its_own", "stages.. names stem"),
        (part("BatchStatistics"), RESNET, "test_a_batch_equals_its_rows_one_by_one", "across the first dimension"),
        (part("Restless"), RESNET, "test_the_same_seed_gives_the_same_weights_and_outputs", "nothing is random"),
        (part("Forgetful"), RESNET, "test_its_state_dict_and_a_tracker_file_bring_it_back", "parameters and buffers"),
        (part("DeadWeight"), RESNET, "test_gradients_are_finite_and_reach_every_parameter", "never_used takes no part"),
    ],
)
def test_a_wrong_backbone_is_told(factory, settings, check, message):
    fails(backbone(factory, settings), check, message)


@pytest.mark.parametrize(
    ("factory", "settings", "check", "message"),
    [
        (PLAIN_MATCHER, config("SharedByDeclaration"), "test_its_responses_are_as_declared", "shared=True"),
        (PLAIN_MATCHER, config("TooNarrow"), "test_its_adjusted_features_are_as_declared", r"expected \(3, 8,"),
        (part("ForgottenKernelWidth"), DEPTHWISE, "test_its_responses_say_where_the_target_is", "looks at"),
        (
            part("OneTargetOnly"),
            DEPTHWISE,
            "test_its_outputs_are_finite_and_have_one_row_per_target",
            "the first dimension is the target",
        ),
    ],
)
def test_a_wrong_matcher_is_told(factory, settings, check, message):
    fails(matcher(factory, settings), check, message)


@pytest.mark.parametrize(
    ("factory", "settings", "check", "message"),
    [
        (part("NotAnchors"), RPN, "test_its_predictions_are_of_the_declared_kind", "promises an AnchorOutput"),
        (part("Branching"), RPN, "test_the_step_exports", "does not export .* use torch.where"),
        (part("ReadingBack"), RPN, "test_the_step_exports", "use torch.where"),
        (part("Unranked"), RPN, "test_its_candidates_have_one_shape_and_sound_values", "other than the scores"),
        (part("Logits"), RPN, "test_its_candidates_have_one_shape_and_sound_values", "outside 0..1"),
        (part("Unbounded"), RPN, "test_its_outputs_are_finite_and_have_one_row_per_target", "NaN or infinity"),
        (
            "trackcli.builtin.heads.rpn:RpnHead",
            config("CallsItselfPoints"),
            "test_its_predictions_are_of_the_declared_kind",
            "name some with partners",  # its default loss takes anchors: planning refuses it already
        ),
    ],
)
def test_a_wrong_head_is_told(factory, settings, check, message):
    fails(head(factory, settings), check, message)


@pytest.mark.parametrize(
    ("factory", "check", "message"),
    [
        ("ReadsMissingTruth", "test_pairs_without_the_target_do_not_break_it", "mask with batch.positive"),
        ("ReadsMissingTruth", "test_it_trains_a_step", "NaN or infinity"),
        ("PerPair", "test_its_terms_are_finite_scalars", "reduce it to one number"),
        ("Detached", "test_the_network_learns_from_it", "is something detached"),
        ("Weighted", "test_it_leaves_its_weight_to_the_composition", "the composition multiplies"),
        ("Dicing", "test_the_same_batch_gives_the_same_terms", "key chance by batch.sample_ids"),
    ],
)
def test_a_wrong_loss_is_told(factory, check, message):
    fails(loss(part(factory)), check, message)


def test_a_part_that_is_planned_but_fails_beside_another_is_told():
    wrong = matcher(part("FailsWhenUsed"))
    fails(wrong, "test_it_composes_with_every_built_in_partner_it_fits", "with .* it is planned but fails: too bad")
