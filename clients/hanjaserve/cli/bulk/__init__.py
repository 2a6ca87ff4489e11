"""`hanjaserve bulk`: files and folders of any size, converted offline by several processes.

sources   which files, and what becomes of each
formats   rows of a file in chunks, and back into a file
parts     a chunk in, a finished part of the output out
ledger    which parts are finished, of which work
job       readers and workers on Ray Data
command   the command line
"""
