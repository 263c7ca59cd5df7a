"""Room `deploy`: a model exported, compiled by TVM, run without torch, served."""
