"""What `make` calls beside the tests: set-up of a machine, packaging, linting of templates."""
