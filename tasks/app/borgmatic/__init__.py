"""borgmatic configurations, read for `app.import`."""
