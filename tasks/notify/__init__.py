"""Notifications of how a run ended: recipients and messages."""
