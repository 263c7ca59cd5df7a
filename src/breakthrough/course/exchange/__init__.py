"""The exchange: what people learn from reviewing others' work. Solo with specimens, or in a cohort with each other."""
