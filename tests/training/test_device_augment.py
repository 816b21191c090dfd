"""Changes of pixels: each does what it says, and both implementations, and any division of a batch, agree."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trackcli.config.sampling import AugmentConfig, SamplerConfig, TemplateAugmentConfig
from trackcli.training.appearance import LUMA, Appearance, appearance_of
from trackcli.training.device_augment import _with_torch, augment_images

CPU = torch.device("cpu")
OFF = TemplateAugmentConfig(shift=0, scale=0, blur=0, color=0)
STRONG = TemplateAugmentConfig(blur=0.7, blur_size=31, color=0.8, noise=20.0)


def pictures(count: int, side: int, seed: int = 0) -> Tensor:
    """``(count, 3, side, side)`` uint8, channels last."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)).permute(0, 3, 1, 2)


def looks(count: int, seed: int = 0, **changes: object) -> Appearance:
    draws = np.random.default_rng(seed).random((count, 32), dtype=np.float32)
    return appearance_of(draws, SamplerConfig(**{"template": STRONG, "grey": 0.3, **changes}), 0)


def rows_of(look: Appearance, rows: slice) -> Appearance:
    return Appearance(**{field.name: getattr(look, field.name)[rows] for field in fields(Appearance)})


def plain(count: int) -> Appearance:
    return looks(count, template=OFF, flip=0.0, grey=0.0)


def with_opencv(pixels: Tensor, look: Appearance) -> Tensor:
    """``(B, S, S, 3)`` uint8 to float32."""
    return augment_images(pixels.permute(0, 3, 1, 2), look, CPU).permute(0, 2, 3, 1)


def with_torch(pixels: Tensor, look: Appearance) -> Tensor:
    return _with_torch(pixels, look, CPU)


def test_all_off_is_the_picture_itself_as_floats() -> None:
    images = pictures(3, 20)
    changed = augment_images(images, plain(3), CPU)
    assert changed.dtype == torch.float32 and changed.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(changed, images.float(), rtol=0, atol=0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0), side=st.sampled_from([9, 40, 127]))
def test_opencv_and_torch_agree_to_a_grey_level(seed: int, side: int) -> None:
    pixels, look = pictures(6, side, seed).permute(0, 2, 3, 1), looks(6, seed)
    difference = (with_opencv(pixels, look) - with_torch(pixels, look)).abs()
    assert difference.max() <= 1.02
    assert difference.mean() < 0.15  # few pixels are rounded to another side


@pytest.mark.parametrize("path", [with_opencv, with_torch])
def test_the_division_into_batches_changes_nothing(path: object) -> None:
    pixels, look = pictures(6, 40).permute(0, 2, 3, 1), looks(6)
    whole = path(pixels, look)  # type: ignore[operator]
    parts = [path(pixels[part], rows_of(look, part)) for part in (slice(0, 1), slice(1, 4), slice(4, 6))]  # type: ignore[operator]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-6, atol=1e-3)


def test_blur_is_the_mean_over_the_box_with_the_border_repeated() -> None:
    images = pictures(1, 12)
    look = replace(plain(1), blur_wh=np.array([[5, 3]]))
    padded = np.pad(images[0].permute(1, 2, 0).numpy().astype(int), ((1, 1), (2, 2), (0, 0)), mode="edge")
    expected = np.array([[padded[y : y + 3, x : x + 5].mean(axis=(0, 1)) for x in range(12)] for y in range(12)])
    for path in (with_opencv, with_torch):
        changed = path(images.permute(0, 2, 3, 1), look)
        np.testing.assert_array_equal(changed[0].numpy(), np.rint(expected))


def test_a_mirrored_picture_is_mirrored_left_to_right() -> None:
    images = pictures(2, 10)
    look = replace(plain(2), flip=np.array([True, False]))
    changed = augment_images(images, look, CPU)
    torch.testing.assert_close(changed[0], images[0].flip(2).float())
    torch.testing.assert_close(changed[1], images[1].float())


def test_a_grey_picture_has_three_equal_channels_of_its_luma() -> None:
    images = pictures(1, 10)
    changed = augment_images(images, looks(1, template=OFF, flip=0.0, grey=1.0), CPU)
    luma = (images[0].float() * torch.tensor(LUMA)[:, None, None]).sum(dim=0)
    torch.testing.assert_close(changed[0], luma.expand(3, -1, -1), rtol=0, atol=0.8)
    torch.testing.assert_close(changed[0, 0], changed[0, 2], rtol=0, atol=0)


def test_colour_changes_as_the_formula_says_one_after_the_other() -> None:
    images = pictures(4, 16)
    draws = np.random.default_rng(3).random((4, 32), dtype=np.float32)
    config = SamplerConfig(template=TemplateAugmentConfig(blur=0, color=0.4), flip=0.0, grey=0.0)
    changed = augment_images(images, appearance_of(draws, config, 0), CPU)
    for row in range(4):
        brightness, contrast, saturation, *tint = (0.4 * (2 * draws[row, 2:8].astype(np.float64) - 1)).tolist()
        image = images[row].permute(1, 2, 0).numpy().astype(np.float64)
        luma = image @ np.array(LUMA)
        coloured = luma[..., None] + (1 + saturation) * (image - luma[..., None])
        tinted = coloured * (1 + 0.3 * np.array(tint))
        expected = (luma.mean() + (1 + contrast) * (tinted - luma.mean())) * (1 + brightness)
        np.testing.assert_allclose(changed[row].permute(1, 2, 0), expected.clip(0, 255), atol=0.8)


def test_noise_has_the_deviation_it_was_given_and_differs_from_pixel_to_pixel() -> None:
    images = torch.full((2, 128, 128, 3), 128, dtype=torch.uint8).permute(0, 3, 1, 2)
    look = replace(plain(2), noise=np.array([8.0, 8.0], np.float32), noise_key=np.array([5, 6]))
    changed = augment_images(images, look, CPU) - 128
    assert changed.std(dim=(1, 2, 3)).tolist() == pytest.approx([8.0, 8.0], rel=0.03)
    assert changed.mean(dim=(1, 2, 3)).tolist() == pytest.approx([0.0, 0.0], abs=0.2)
    neighbours = torch.corrcoef(torch.stack((changed[0, 0, :, :-1].flatten(), changed[0, 0, :, 1:].flatten())))
    samples = torch.corrcoef(changed.flatten(1))
    assert abs(float(neighbours[0, 1])) < 0.03 and abs(float(samples[0, 1])) < 0.02


def test_template_and_search_region_are_mirrored_and_grey_together_and_differ_otherwise() -> None:
    draws = np.random.default_rng(0).random((200, 32), dtype=np.float32)
    config = SamplerConfig(template=STRONG, search=AugmentConfig(**STRONG.model_dump()), grey=0.5)
    template, search = (appearance_of(draws, config, branch) for branch in (0, 1))
    np.testing.assert_array_equal(template.flip, search.flip)
    grey = [np.ptp(look.matrix, axis=1).max(axis=1) < 1e-6 for look in (template, search)]  # equal rows: one channel
    np.testing.assert_array_equal(*grey)
    assert 60 < template.flip.sum() < 140 and 60 < grey[0].sum() < 140
    assert (template.bias != search.bias).all() and (template.noise_key != search.noise_key).any()


def test_blur_has_its_chance_and_its_longest_length() -> None:
    look = looks(4000, template=TemplateAugmentConfig(blur=0.25, blur_size=7))
    blurred = look.blur_wh[(look.blur_wh > 1).any(axis=1)]
    assert len(blurred) / 4000 == pytest.approx(0.25 * (1 - 1 / 16), abs=0.03)  # 1 of 16 sizes is 1 × 1
    assert set(np.unique(look.blur_wh)) == {1, 3, 5, 7}
