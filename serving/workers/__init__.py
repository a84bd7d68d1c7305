"""The processes that plan and generate. They import no heavy library before a job is theirs to do."""
