"""Portable mode on real Airflows: snapshot and restore by the metadata DAGs themselves."""
