"""Networks: one file a paper, known by name in the registry. Importing this package loads torch."""

from bonaface.models.a_deep_pix_bis import ADeepPixBiS
from bonaface.models.base import FeatureSet, GradientModel, InferenceModule, PadModel, SolverModel
from bonaface.models.bi_fas import BiFas, BiFasS
from bonaface.models.cdcn import Cdcn, CdcnPlusPlus
from bonaface.models.color_lbp_svm import ColorLbpSvm
from bonaface.models.deep_pix_bis import DeepPixBiS
from bonaface.models.global_statistics import GlobalStatistics
from bonaface.models.hfd import Hfd
from bonaface.models.iqm_svm import IqmSvm
from bonaface.models.lbp_svm import LbpSvm
from bonaface.models.linear_probe import LinearProbe, LpFt
from bonaface.models.patchnet import PatchNet
from bonaface.models.preset import Preset
from bonaface.models.record import Output
from bonaface.models.registry import (
    Description,
    create_model,
    default_preset,
    describe,
    model_names,
    presets,
)
from bonaface.models.targets import Shown, register_target, target_names
from bonaface.models.timm_classifier import TimmClassifier

__all__ = [
    "ADeepPixBiS",
    "BiFas",
    "BiFasS",
    "Cdcn",
    "CdcnPlusPlus",
    "ColorLbpSvm",
    "DeepPixBiS",
    "Description",
    "FeatureSet",
    "GlobalStatistics",
    "GradientModel",
    "Hfd",
    "InferenceModule",
    "IqmSvm",
    "LbpSvm",
    "LinearProbe",
    "LpFt",
    "Output",
    "PadModel",
    "PatchNet",
    "Preset",
    "Shown",
    "SolverModel",
    "TimmClassifier",
    "create_model",
    "default_preset",
    "describe",
    "model_names",
    "presets",
    "register_target",
    "target_names",
]
