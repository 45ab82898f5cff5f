"""CG-DETR (Moon et al., arXiv 2311.08835): clips attend to the query only as much as they have to do with it."""

from baselines.moment.cg_detr.config import PRESETS, CgDetrConfig
from baselines.moment.cg_detr.model import CgDetr, CgDetrOutput, convert_checkpoint

__all__ = ["PRESETS", "CgDetr", "CgDetrConfig", "CgDetrOutput", "convert_checkpoint"]
