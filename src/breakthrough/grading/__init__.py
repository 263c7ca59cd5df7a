"""Grading a cohort: submissions normalized, run in a sandbox, judged from outside, kept in nbgrader's gradebook; and peers' reviews."""
