"""A report, written out: one file for each format, all of them functions from values to text.

Everything in a report may come from somebody hostile: names, messages, files. Each format is
responsible for what its readers (a terminal, a browser, GitHub, a parser) would take for more than
text.
"""
