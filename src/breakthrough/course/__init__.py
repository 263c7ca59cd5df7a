"""The course as a whole: syllabus, notebooks, release, progress, claims, report; the exchange, the site, translations.

Nothing here imports torch or a subject room at module level: listing, releasing and reporting work
on any laptop, and start within half a second.
"""
