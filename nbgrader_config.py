"""nbgrader in this project: read by its command line and by its JupyterLab extensions."""

from pathlib import Path

c = get_config()  # noqa: F821  given by traitlets
root = Path(__file__).resolve().parent

c.CourseDirectory.root = str(root)
c.CourseDirectory.course_id = "breakthrough"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "labs"

# SQLite makes the gradebook, but not the folder it lies in
(root / "cohort").mkdir(exist_ok=True)

# all that a cohort produces lies under cohort/, which git ignores
c.CourseDirectory.submitted_directory = "cohort/submitted"
c.CourseDirectory.autograded_directory = "cohort/autograded"
c.CourseDirectory.feedback_directory = "cohort/feedback"
c.CourseDirectory.solution_directory = "cohort/solution"
c.CourseDirectory.db_url = f"sqlite:///{root / 'cohort' / 'gradebook.db'}"
c.Exchange.root = str(root / "cohort" / "exchange")
c.Exchange.cache = str(root / "cohort" / "cache")

# a cell of an experiment trains for minutes; nbgrader's own limit is 30 s
c.Execute.timeout = 1800

# a submission's outputs are not the instructor's scripts
c.HTMLExporter.sanitize_html = True
