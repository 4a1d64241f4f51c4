"""Packs the program for where it runs: the image and the kubectl plugin. Not part of the wheel."""
