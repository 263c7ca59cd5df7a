"""Room `federated`: one model trained where the data is, and what leaks on the way."""
