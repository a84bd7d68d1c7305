"""The HTTP API: what clients send and get (:mod:`schemas`), how that becomes work (:mod:`resolve`), and the routes."""
