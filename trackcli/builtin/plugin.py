"""The built-in components, registered like any other plugin's. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable

from trackcli_cache.catalogue import DATASETS

from trackcli.builtin.presets import DEFAULT, FAST, SIAMRPN, SIAMRPN_PP, SIAMRPN_PP_RESNET50
from trackcli.host.data_specs import DatasetSpec, SinkSpec
from trackcli.host.hooks import hookimpl
from trackcli.host.specs import (
    BackboneSpec,
    HeadSpec,
    LossSpec,
    MatcherSpec,
    PostprocessorSpec,
    PresetSpec,
    SamplerSpec,
    TrackerSpec,
)

SIAMRPN_PP_PAPER = "Li et al. 2019, SiamRPN++: Evolution of Siamese Visual Tracking with Very Deep Networks"
SIAMRPN_PAPER = "Li et al. 2018, High Performance Visual Tracking with Siamese Region Proposal Network"
HOME = "siamrpn-pp"


@hookimpl
def trackcli_backbones() -> Iterable[BackboneSpec]:
    """Backbones."""
    yield BackboneSpec(
        name="resnet18",
        summary="ResNet-18 to layer2, layer3 or layer4, plain or dilated to stride 8",
        factory="trackcli.builtin.backbones.resnet18:ResNet18",
        config="trackcli.builtin.config:ResNet18Config",
        paper="He et al. 2016, Deep Residual Learning for Image Recognition",
        home_preset=HOME,
    )
    yield BackboneSpec(
        name="resnet50",
        summary="ResNet-50 to layer2, layer3 or layer4: SiamRPN++'s modified form, or the plain one",
        factory="trackcli.builtin.backbones.resnet50:ResNet50",
        config="trackcli.builtin.config_backbones:ResNet50Config",
        paper="He et al. 2016, Deep Residual Learning for Image Recognition",
        home_preset=HOME,
    )
    yield BackboneSpec(
        name="alexnet",
        summary="AlexNet at stride 8, padded or not, grouped or not",
        factory="trackcli.builtin.backbones.alexnet:AlexNet",
        config="trackcli.builtin.config_backbones:AlexNetConfig",
        paper="Krizhevsky et al. 2012, ImageNet Classification with Deep Convolutional Neural Networks",
        home_preset="siamrpn",
    )
    yield BackboneSpec(
        name="mobilenetv2",
        summary="MobileNetV2, plain or dilated to stride 8",
        factory="trackcli.builtin.backbones.mobilenetv2:MobileNetV2",
        config="trackcli.builtin.config_backbones:MobileNetV2Config",
        paper="Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks",
        home_preset=HOME,
    )


@hookimpl
def trackcli_matchers() -> Iterable[MatcherSpec]:
    """Matchers."""
    yield MatcherSpec(
        name="dw-xcorr",
        summary="Depth-wise cross-correlation per level",
        factory="trackcli.builtin.matchers.correlation:DepthwiseCorrelation",
        config="trackcli.builtin.config:DepthwiseConfig",
        paper=SIAMRPN_PP_PAPER,
        home_preset=HOME,
    )
    yield MatcherSpec(
        name="xcorr",
        summary="Plain cross-correlation: one similarity per cell",
        factory="trackcli.builtin.matchers.correlation:CrossCorrelation",
        config="trackcli.builtin.config:CrossConfig",
        paper="Bertinetto et al. 2016, Fully-Convolutional Siamese Networks for Object Tracking",
        home_preset=HOME,
    )
    yield MatcherSpec(
        name="up-xcorr",
        summary="Up-channel cross-correlation: one kernel per score and box value of the head",
        factory="trackcli.builtin.matchers.up_channel:UpChannelCorrelation",
        config="trackcli.builtin.config:UpChannelConfig",
        paper=SIAMRPN_PAPER,
        home_preset="siamrpn",
    )
    yield MatcherSpec(
        name="template-attention",
        summary="Search cells read from template cells what they see and where in the target it lies",
        factory="trackcli.builtin.matchers.attention:TemplateAttention",
        config="trackcli.builtin.config_point:TemplateAttentionConfig",
        home_preset="default",
    )


@hookimpl
def trackcli_heads() -> Iterable[HeadSpec]:
    """Heads."""
    yield HeadSpec(
        name="rpn",
        summary="Anchor-based scores and boxes, one or several levels with learnt weights",
        factory="trackcli.builtin.heads.rpn:RpnHead",
        config="trackcli.builtin.config:RpnConfig",
        paper=SIAMRPN_PAPER,
        home_preset=HOME,
        default_losses=("rpn",),
        default_postprocessors=("scale-penalty", "cosine-window", "select", "smooth-size", "clip"),
    )
    yield HeadSpec(
        name="point",
        summary="Anchor-free: a centre heat map and the distances to the box's sides, on one level",
        factory="trackcli.builtin.heads.point:PointHead",
        config="trackcli.builtin.config_point:PointConfig",
        paper="Zhou et al. 2019, Objects as Points",
        home_preset="default",
        default_losses=("point",),
        default_postprocessors=("scale-penalty", "cosine-window", "select", "smooth-size", "clip"),
    )


@hookimpl
def trackcli_losses() -> Iterable[LossSpec]:
    """Losses."""
    yield LossSpec(
        name="rpn",
        summary="Cross-entropy over sampled anchors, smooth L1 over positive ones",
        factory="trackcli.builtin.losses.rpn:RpnLoss",
        config="trackcli.builtin.config:RpnLossConfig",
        home_preset=HOME,
    )
    yield LossSpec(
        name="point",
        summary="Focal loss on the heat map, GIoU and L1 on boxes near the centre",
        factory="trackcli.builtin.losses.point:PointLoss",
        config="trackcli.builtin.config_point:PointLossConfig",
        home_preset="default",
    )


@hookimpl
def trackcli_postprocessors() -> Iterable[PostprocessorSpec]:
    """Candidate links, selection, track links."""
    yield PostprocessorSpec(
        name="scale-penalty",
        summary="Rank down candidates whose size or shape differs from the last box",
        factory="trackcli.builtin.postprocessors.candidates:ScalePenalty",
        config="trackcli.builtin.config:ScalePenaltyConfig",
        stage="candidates",
    )
    yield PostprocessorSpec(
        name="cosine-window",
        summary="Rank up candidates near the last position",
        factory="trackcli.builtin.postprocessors.candidates:CosineWindow",
        config="trackcli.builtin.config:CosineWindowConfig",
        stage="candidates",
    )
    yield PostprocessorSpec(
        name="select",
        summary="Select the candidate that ranks highest",
        factory="trackcli.builtin.postprocessors.select:SelectBest",
        config="trackcli.builtin.config:SelectConfig",
        stage="select",
    )
    yield PostprocessorSpec(
        name="smooth-size",
        summary="Let the size follow slowly, the more the surer",
        factory="trackcli.builtin.postprocessors.track:SmoothSize",
        config="trackcli.builtin.config:SmoothSizeConfig",
        stage="track",
    )
    yield PostprocessorSpec(
        name="clip",
        summary="Keep the box in the frame",
        factory="trackcli.builtin.postprocessors.track:Clip",
        config="trackcli.builtin.config:ClipConfig",
        stage="track",
    )
    yield PostprocessorSpec(
        name="motion",
        summary="Search where the target's motion leads",
        factory="trackcli.builtin.postprocessors.track:Motion",
        config="trackcli.builtin.config:MotionConfig",
        stage="track",
    )
    yield PostprocessorSpec(
        name="presence",
        summary="Score by the probability that the target is in view",
        factory="trackcli.builtin.postprocessors.presence:Presence",
        config="trackcli.builtin.config_presence:PresenceConfig",
        stage="track",
    )
    yield PostprocessorSpec(
        name="hold",
        summary="Keep the last box while the score is low",
        factory="trackcli.builtin.postprocessors.track:Hold",
        config="trackcli.builtin.config:HoldConfig",
        stage="track",
    )


@hookimpl
def trackcli_samplers() -> Iterable[SamplerSpec]:
    """Samplers."""
    yield SamplerSpec(
        name="pairs",
        summary="Pairs of one object from videos and stills, negative, pasted and partial ones, from weighted caches",
        factory="trackcli.training.sampler:pairs_sampler",
        config="trackcli.config.sampling:PairsConfig",
        paper="Zhu et al. 2018, Distractor-aware Siamese Networks for Visual Object Tracking",
    )


@hookimpl
def trackcli_presets() -> Iterable[PresetSpec]:
    """Presets."""
    yield PresetSpec(
        name=HOME,
        summary="SiamRPN++ with ResNet-18: depth-wise correlation and anchors on three levels",
        recipe=SIAMRPN_PP,
        paper=SIAMRPN_PP_PAPER,
    )
    yield PresetSpec(
        name="siamrpn-pp-resnet50",
        summary="SiamRPN++ as published: modified ResNet-50, three levels, anchors",
        recipe=SIAMRPN_PP_RESNET50,
        paper=SIAMRPN_PP_PAPER,
    )
    yield PresetSpec(
        name="siamrpn",
        summary="SiamRPN: unpadded AlexNet, up-channel correlation, anchors",
        recipe=SIAMRPN,
        paper=SIAMRPN_PAPER,
    )
    yield PresetSpec(
        name="default",
        summary="The recipe of the shipped tracker: small, trained on stills, pasted objects and video",
        recipe=DEFAULT,
    )
    yield PresetSpec(
        name="fast",
        summary="The recipe of the small shipped tracker: MobileNetV2, a smaller search region",
        recipe=FAST,
    )


@hookimpl
def trackcli_trackers() -> Iterable[TrackerSpec]:
    """Trackers with weights."""
    yield TrackerSpec(
        name="default",
        summary="General-purpose tracker: ResNet-18, template attention, anchor-free",
        package="trackcli.weights",
        file="default.safetensors",
        card="default.md",
    )
    yield TrackerSpec(
        name="fast",
        summary="Smaller and quicker: MobileNetV2, template attention, anchor-free",
        package="trackcli.weights",
        file="fast.safetensors",
        card="fast.md",
    )
    yield TrackerSpec(
        name="csrt",
        summary="OpenCV's correlation filter with reliability maps; needs opencv-contrib-python",
        factory="trackcli.foreign.opencv:csrt",
    )
    yield TrackerSpec(
        name="kcf",
        summary="OpenCV's kernelised correlation filter; needs opencv-contrib-python",
        factory="trackcli.foreign.opencv:kcf",
    )
    yield TrackerSpec(
        name="mil",
        summary="OpenCV's multiple instance learning",
        factory="trackcli.foreign.opencv:mil",
    )
    yield TrackerSpec(
        name="nano",
        summary="OpenCV's NanoTrack with your ONNX files: nano@backbone=FILE,head=FILE",
        factory="trackcli.foreign.opencv:nano",
        options=("backbone", "head"),
    )
    yield TrackerSpec(
        name="vit",
        summary="OpenCV's ViTTrack with your ONNX file: vit@model=FILE",
        factory="trackcli.foreign.opencv:vit",
        options=("model",),
    )


@hookimpl
def trackcli_datasets() -> Iterable[DatasetSpec]:
    """The layouts that trackcli-cache reads."""
    for entry in DATASETS.values():
        yield DatasetSpec(
            name=entry.name,
            summary=entry.summary,
            reader=entry.reader,
            splits=entry.splits,
            tree=entry.tree,
            sequences=entry.sequences,
        )


@hookimpl
def trackcli_sinks() -> Iterable[SinkSpec]:
    """Where tracking results go."""
    yield SinkSpec(
        name="boxes-txt",
        summary="Boxes of one target: x,y,w,h per frame",
        factory="trackcli.video.outputs:open_boxes",
        suffixes=(".txt",),
        most_targets=1,
    )
    yield SinkSpec(
        name="boxes-csv",
        summary="Frame, time, target, box and score as comma-separated values",
        factory="trackcli.video.outputs:open_boxes",
        suffixes=(".csv",),
    )
    yield SinkSpec(
        name="boxes-jsonl",
        summary="Frame, time, target, box and score as a JSON object per line",
        factory="trackcli.video.outputs:open_boxes",
        suffixes=(".jsonl",),
    )
    yield SinkSpec(
        name="video",
        summary="H.264 video with the boxes drawn",
        factory="trackcli.video.drawn:DrawnVideo",
        suffixes=(".mp4", ".m4v", ".mov", ".mkv"),
    )
