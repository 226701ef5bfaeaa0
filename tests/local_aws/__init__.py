"""The stand-in for AWS: moto, what moto lacks, and a real Airflow per MWAA environment, on loopback."""
