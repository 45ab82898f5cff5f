"""The language of IVCR-Mini's users and systems, English and Chinese."""
