"""The course in other languages: one source in English, catalogues beside it, notebooks made from both.

A catalogue is a file in gettext's format for each notebook, for the README, and for each room's messages.
`breakthrough translate` keeps catalogues in step with their sources, `breakthrough release --lang zh` makes notebooks.
"""
