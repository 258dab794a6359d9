"""Gates in front of publishing: Great Expectations suites over the warehouse, by layer."""
