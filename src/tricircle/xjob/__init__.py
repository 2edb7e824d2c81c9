"""The job workers: take jobs from the database and carry them out."""
