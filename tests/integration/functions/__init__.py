"""What the functions write, read by the real Airflow."""
