"""Many tasks as one fleet: the fleet file, the plan, submission, verification, ranking, decisions and delivery."""
