"""Image models: a point is an image, pixel after pixel."""
