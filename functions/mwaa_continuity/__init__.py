"""Handlers of the Lambda functions, one module each (`<function>.handler`), over the shared modules beside them.

docs/architecture.md, "Functions", says which actions each one has and what it answers.
"""
