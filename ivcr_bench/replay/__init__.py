"""Replaying dialogues against a system: the loop, its journal, and the run around both (docs/replay.md)."""
