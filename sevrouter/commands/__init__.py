"""What each command does. Each module has one function that returns the exit code."""

GOOD = 0
NO = 1
USAGE = 2
