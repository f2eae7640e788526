"""The endpoints of operation, over HTTP, on a real store and a real configuration."""
