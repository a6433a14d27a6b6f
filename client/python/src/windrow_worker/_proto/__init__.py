"""Code generated from the protos of Windrow when the package is built."""
