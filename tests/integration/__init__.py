"""Tests with real PostgreSQL, real Airflow, and real Terraform on the stand-in."""
