"""From records to bytes: finding a record, selecting its values, and rendering them as files."""
