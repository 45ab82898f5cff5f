"""InterLLaVA, the reference model: a two-tower retriever and a multi-modal LLaMA that re-ranks and localises."""
