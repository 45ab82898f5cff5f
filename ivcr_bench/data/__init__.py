"""Datasets: folders of films and dialogues, the IVCR-Mini generator, decoding, cached features."""
