"""Stand-ins for other tools' Python modules, so that programs written for those run unchanged."""
