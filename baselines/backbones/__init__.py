"""Encoders that several baselines share: a BLIP-2 (ViT and Q-Former), its losses, a tokenizer, pixels."""
