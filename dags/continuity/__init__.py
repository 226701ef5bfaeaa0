"""The snapshot engine: what the metadata DAGs share.

Importable without Airflow. Only `connect` (and the DAG files) touch Airflow, and only when they are called.
"""
