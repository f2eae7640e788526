"""The loops on a moved clock, a real database and strict recipients."""
