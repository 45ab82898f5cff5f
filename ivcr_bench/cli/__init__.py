"""The `ivcr-bench` command: thin click commands over the packages."""
