"""IVCR-Mini: a small world of rendered films and the dialogues about them, with everything known about both."""

VERSION = 1
"""Goes up whenever one seed would no longer give the same films and dialogues as before."""
