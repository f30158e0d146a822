"""A service of orders, on ``coresys.build_system``.

``table``: what an order may become. ``payments``: a connection that may fail. ``service``: orders, and what is done
about errors. ``intake``: where they come in. ``__main__``: all of it put together, and served until SIGTERM.
"""
