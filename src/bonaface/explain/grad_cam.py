"""Grad-CAM of the errors (paper 2, fig. 8).

Selvaraju et al., Grad-CAM, ICCV 2017, https://arxiv.org/abs/1610.02391: the channels of a layer, each weighted by the
mean gradient of what is explained, summed up, and what is negative left out; by captum.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from captum.attr import LayerGradCam
from numpy.typing import NDArray
from torch import Tensor, nn

from bonaface.core.errors import InputError
from bonaface.drawing.heat_map import PixelMap, overlay
from bonaface.explain.figure import Figure
from bonaface.explain.figures import caption_of, cell_of, mouth_mean, typical
from bonaface.explain.run import TrainedRun
from bonaface.explain.samples import Sample, evenly, images_of
from bonaface.explain.sheet import Cell, ColourBar, sheet
from bonaface.models.base import PadModel

MOST = 24  # presentations of a kind
_SHOWN = 6
_BATCH = 4  # with gradients, which take several times the memory
_LEAST = 1e-6


class Explained(nn.Module):
    """A network whose feature levels are layers of their own: `levels`, by name. Its output is the score's logit."""

    def __init__(self, network: PadModel, names: Sequence[str], score: str) -> None:
        super().__init__()
        self.network, self.score = network, score
        self.levels = nn.ModuleDict({name: nn.Identity() for name in names})

    def forward(self, images: Tensor) -> Tensor:
        """Return the logit of the score, (B,), of normalised `images` (B, 3, S, S)."""
        features = self.network.forward_features(images)
        output = self.network.forward_head({name: self.levels[name](v) for name, v in features.items()})
        return torch.logit(output.scores[self.score], _LEAST)

    def layer(self, name: str) -> nn.Module:
        """Return the feature level or the module of the network that has this name.

        Raises:
            InputError: there is none.
        """
        modules: dict[str, nn.Module] = {
            **dict(self.network.named_modules()),
            **dict(self.levels.named_children()),
        }
        if not name or name not in modules:
            last = [key for key, module in modules.items() if isinstance(module, nn.Conv2d)][-1:]
            raise InputError(
                f"unknown layer {name!r}; the network's levels are {', '.join(self.levels)}, and its modules have the "
                f"names of PyTorch's named_modules(){''.join(f', such as {key}' for key in last)}"
            )
        return modules[name]


def grad_cam(explained: Explained, layer: nn.Module, images: Tensor, sign: int) -> NDArray[np.float32]:
    """Return what of `layer` raises the logit of bona fide (`sign` 1) or of an attack (-1): (B, h, w), 0 or more.

    Added up over the positions it is the layer's part of the logit, as far as that is linear in it, the gradient even
    over the positions, and nothing negative.
    """
    method = LayerGradCam(lambda pictures: sign * explained(pictures), layer)
    found = method.attribute(images.requires_grad_(), relu_attributions=True)
    assert isinstance(found, Tensor), "a layer with one output has one map"
    maps: NDArray[np.float32] = found.detach()[:, 0].float().numpy()
    return maps


def grad_cam_figure(
    samples: Sequence[Sample], run: TrainedRun, name: str | None, more: Callable[[int, int], None]
) -> Figure | str:
    """Return figure 8 of paper 2: what of a layer speaks for the wrong class, on the errors; or why there is none.

    Args:
        samples: of which the errors are taken, at most `MOST` of each class, evenly over their scores.
        run: what made the errors.
        name: of a feature level or a module; None: the network's first level ("P3" of Bi-FAS).
        more: gets (frames done, frames to come) in each step.

    Raises:
        InputError: there is no layer `name`.
    """
    if samples[0].views:
        return f"{run.settings.preset.model} reads several crops of a face at once"
    with torch.inference_mode():
        features = run.network.forward_features(images_of(run, samples[:1]))
    explained = Explained(run.network, list(features), run.card.default_output)
    name = name or next(iter(features))
    layer = explained.layer(name)
    if name in features and not _is_map(features[name]):
        return f"{run.settings.preset.model} has no feature level over the picture"
    kinds = _kinds(samples, run.threshold)
    if not kinds["rejected"] and not kinds["accepted"]:
        return f"none of the {len(samples)} presentations was judged wrongly; --samples looks at more"
    more(0, sum(map(len, kinds.values())))
    cams = {}
    for kind, chosen in kinds.items():
        # Of an attack the evidence for bona fide is shown, else that for an attack.
        sign = 1 if kind == "accepted" else -1
        cams[kind] = _cams(explained, layer, run, chosen, sign, more)
        if chosen and cams[kind] is None:
            return f"the layer {name} has no map (B, C, h, w) of each picture"
    return _drawn(kinds, cams, name, run, len(samples))


def _is_map(values: Tensor) -> bool:
    return values.ndim == 4 and values.shape[0] == 1 and min(values.shape[2:]) > 1


def _kinds(samples: Sequence[Sample], threshold: float) -> dict[str, list[Sample]]:
    """Return the rejected bona fide presentations, the accepted attacks, and the bona fide ones judged rightly."""
    found: dict[str, list[Sample]] = {"rejected": [], "accepted": [], "right": []}
    for one in sorted(samples, key=lambda one: one.score):
        if one.presentation.label:
            found["rejected" if one.score < threshold else "right"].append(one)
        elif one.score >= threshold:
            found["accepted"].append(one)
    if not found["rejected"]:
        found["right"] = []  # they are only there for comparison
    return {kind: [chosen[n] for n in evenly(range(len(chosen)), MOST)] for kind, chosen in found.items()}


def _cams(
    explained: Explained,
    layer: nn.Module,
    run: TrainedRun,
    chosen: Sequence[Sample],
    sign: int,
    more: Callable[[int, int], None],
) -> NDArray[np.float32] | None:
    """Return the maps of the samples, (N, h, w); None where the layer has none for each picture."""
    found = []
    for start in range(0, len(chosen), _BATCH):
        batch = chosen[start : start + _BATCH]
        cams = grad_cam(explained, layer, images_of(run, batch), sign)
        if cams.ndim != 3 or len(cams) != len(batch):
            return None
        found.append(cams)
        more(len(batch), 0)
    return np.concatenate(found) if found else None


def _drawn(
    kinds: dict[str, list[Sample]],
    cams: dict[str, NDArray[np.float32] | None],
    name: str,
    run: TrainedRun,
    total: int,
) -> Figure:
    pairs = {
        id(one): cam
        for kind, chosen in kinds.items()
        for one, cam in zip(chosen, _or_none(cams[kind]), strict=True)
    }
    errors = [one for kind in ("rejected", "accepted") for one in kinds[kind]]
    shown = [one for label in (1, 0) for one in typical(errors, label, _SHOWN)]
    limits = (0.0, max(float(max(pairs[id(one)].max() for one in shown)), _LEAST))
    side, rows = float(run.network.input_size), []
    for label in (1, 0):
        own = [one for one in shown if one.presentation.label == label]
        if own:
            rows.append([cell_of(one, run) for one in own])
            whole = (0.0, 0.0, side, side)
            rows.append(
                [
                    Cell(
                        overlay(one.crop, PixelMap(name, pairs[id(one)], whole), limits),
                        f"for {'an attack' if label else 'bona fide'}, up to {pairs[id(one)].max():.3g}",
                    )
                    for one in own
                ]
            )
    arrays = {f"cam_{kind}": values for kind, values in cams.items() if values is not None}
    arrays |= {
        f"sample_ids_{kind}": np.array([one.presentation.sample_id for one in chosen])
        for kind, chosen in kinds.items()
        if chosen
    }
    bars = [ColourBar("what speaks for the wrong class, in units of its logit", *limits)]
    return Figure(
        "grad-cam",
        f"Grad-CAM at {name} on the errors among {total} presentations (paper 2, fig. 8)",
        sheet(rows, bars=bars),
        arrays,
        tuple(caption_of(one, run) for one in errors),
        tuple(_findings(kinds, cams)),
    )


def _or_none(cams: NDArray[np.float32] | None) -> list[NDArray[np.float32]]:
    return [] if cams is None else list(cams)


def _findings(kinds: dict[str, list[Sample]], cams: dict[str, NDArray[np.float32] | None]) -> list[str]:
    """Return whether the mouth is active where bona fide is rejected, and how it is where it is accepted."""
    said = []
    for kind, words in (("rejected", "rejected"), ("right", "accepted")):
        shares = [
            mouth_mean(cam, one.landmarks, one.crop.shape[0]) / float(cam.mean())
            for one, cam in zip(kinds[kind], _or_none(cams[kind]), strict=True)
            if cam.mean() > 0 and np.isfinite(one.landmarks).all()
        ]
        if shares:
            said.append(f"{np.median(shares):.2f} in {len(shares)} of {len(kinds[kind])} {words}")
    if not said:
        return []
    return [
        "Evidence for an attack at the mouth, over the mean of the map, in the bona fide presentations that have any "
        f"(median; 1 is even): {', '.join(said)}."
    ]
