"""What the web server of an environment loads, by PYTHONPATH, to accept the tokens of the MWAA API."""
