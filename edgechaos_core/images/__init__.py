"""The image data sets: found, downloaded, verified by digest, and cut into training, validation and test images.

Their way onto a device and into mini-batches stands in `training`.
"""
