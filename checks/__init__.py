"""The numbered checks of each issue: ``python -m checks NAME [K]``. Goals stand here and nowhere else."""
