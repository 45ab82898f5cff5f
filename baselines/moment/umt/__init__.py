"""UMT (Liu et al., CVPR 2022, arXiv 2203.12745): one query for each clip, and a keypoint of the moment in time.

Video and, if there is one, a second stream exchange what they know through a few bottleneck tokens. Clips attend to
the words to become queries, a decoder refines them, and each clip says whether it is the centre of the moment, how
long the moment is and how far its true centre lies. Written from the paper's equations, with the module names of the
authors' checkpoints.
"""

from baselines.moment.umt.config import PRESETS, UmtConfig
from baselines.moment.umt.model import Umt, UmtOutput, convert_checkpoint

__all__ = ["PRESETS", "Umt", "UmtConfig", "UmtOutput", "convert_checkpoint"]
