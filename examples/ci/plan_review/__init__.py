"""Reads what `terraform show -json` says of a plan: for a person, as one comment, and for a policy."""
