"""What sevrouter says of itself: metrics and logs, each in one place."""
