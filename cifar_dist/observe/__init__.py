"""What a run tells the world: records, and the places they go to."""
