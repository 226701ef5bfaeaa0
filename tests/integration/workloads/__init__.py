"""Containers and services that DAGs use: what Terraform makes, what its policies allow, the example DAGs."""
