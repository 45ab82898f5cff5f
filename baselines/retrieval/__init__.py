"""Text-to-video retrieval baselines."""
