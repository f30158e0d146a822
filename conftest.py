"""Suite-wide: pytester, which pytest allows to be named only here, at the root."""

pytest_plugins = ["pytester"]
