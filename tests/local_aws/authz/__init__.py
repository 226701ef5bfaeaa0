"""IAM as AWS enforces it: a request becomes actions on ARNs with context, and policies decide."""
