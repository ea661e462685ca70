"""Who is told how a run ended, and of what."""
