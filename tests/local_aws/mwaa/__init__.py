"""MWAA for the stand-in: its API, and a real Airflow on a real PostgreSQL for each environment."""

from tests.local_aws.mwaa.service import MwaaService

__all__ = ["MwaaService"]
