"""The static site: pages made from what the project already says, built by Sphinx, checked offline.

`sources` makes the pages, `build` runs Sphinx over them, `checks` reads what came out.
"""
