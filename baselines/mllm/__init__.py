"""The three multi-modal language models of the paper that localise moments: GroundingGPT, VTimeLLM, TimeChat."""
