"""Programs that run on an app's host."""
