import numpy as np
import pytest

from bonaface.core.errors import InputError
from bonaface.inference.preprocess import normalise


def test_channels_keep_their_own_mean_and_std() -> None:
    crop = np.zeros((1, 2, 2, 3), np.uint8)
    crop[0, 0, 1] = (255, 51, 0)
    images = normalise(crop, mean=(0.5, 0.2, 0.0), std=(0.5, 0.1, 0.25))
    assert images.shape == (1, 3, 2, 2)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images[0, :, 0, 1], [1.0, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(images[0, :, 1, 1], [-1.0, -2.0, 0.0], atol=1e-6)


def test_agrees_with_torchvision() -> None:
    torch = pytest.importorskip("torch")
    from torchvision.transforms.v2 import functional

    crops = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    scaled = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    expected = functional.normalize(scaled, list(mean), list(std)).numpy()
    np.testing.assert_allclose(normalise(crops, mean, std), expected, atol=1e-6)


@pytest.mark.parametrize(
    "crops",
    [np.zeros((2, 2, 3), np.uint8), np.zeros((1, 2, 2, 3), np.float32), np.zeros((1, 3, 2, 2), np.uint8)],
)
def test_rejects_other_shapes_and_types(crops: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"must be \(B, H, W, 3\) uint8"):
        normalise(crops, (0.5,) * 3, (0.5,) * 3)
