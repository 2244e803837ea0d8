"""What is drawn. Nothing in here is imported before there is something to draw."""
