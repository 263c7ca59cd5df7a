"""Sphinx's settings for the course's site; `breakthrough docs` makes the pages and calls it."""

from breakthrough.course import syllabus
from breakthrough.course.site import reference

course = syllabus.load()
project = html_title = course.title
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinx_design"]
exclude_patterns = ["README.md"]  # the landing page includes it

# notebooks are shown as they were kept
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
autodoc_use_type_comments = False
smartquotes = False  # -- is a flag more often than a dash
add_module_names = False
toc_object_entries = False
maximum_signature_line_length = 80

html_theme = "sphinx_book_theme"
html_theme_options = {
    "use_download_button": False, "use_fullscreen_button": False, "show_toc_level": 2, "home_page_in_toc": True, "navbar_persistent": [],
    "footer_content_items": [],
}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_use_index = html_domain_indices = False  # a list of a thousand names; search finds them
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_last_updated_fmt = None
copybutton_exclude = ".linenos, .gp, .go"


def setup(app):
    """Let Sphinx read docstrings in the project's form, and names as the module means them."""
    app.connect("autodoc-process-docstring", reference.process)
    app.connect("doctree-read", reference.point)
