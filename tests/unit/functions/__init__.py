"""Functions and state machines: handlers on moto, pure functions, templates in moto's own interpreter."""
