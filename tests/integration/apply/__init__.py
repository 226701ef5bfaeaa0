"""Real Terraform applies examples on the stand-in."""
