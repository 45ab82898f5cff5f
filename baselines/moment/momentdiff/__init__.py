"""MomentDiff (Li et al., NeurIPS 2023, arXiv 2307.02869): moments denoised from random spans.

Written from the paper's equations, with the module names of the authors' checkpoints.
"""

from baselines.moment.momentdiff.config import PRESETS, MomentDiffConfig
from baselines.moment.momentdiff.diffusion import query_noise
from baselines.moment.momentdiff.model import MomentDiff, convert_checkpoint

__all__ = ["PRESETS", "MomentDiff", "MomentDiffConfig", "convert_checkpoint", "query_noise"]
