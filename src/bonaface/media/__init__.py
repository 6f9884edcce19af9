"""Files to upright RGB arrays, the same for every command."""
