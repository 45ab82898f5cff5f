"""IVCR-Mini: a small world of rendered films and the dialogues about them, with everything known about both."""
