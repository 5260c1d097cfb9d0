"""What a report says, however it looks."""
