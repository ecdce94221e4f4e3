"""The image data sets: found, downloaded, verified by digest, and cut into training, validation and test images."""
