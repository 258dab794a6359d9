"""Pages for stakeholders, made from the published marts alone."""
