"""storagebox."""
