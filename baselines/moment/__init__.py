"""The moment-retrieval baselines: 2D-TAN, MMN, UMT, MomentDiff and CG-DETR."""
