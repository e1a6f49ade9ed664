"""From an AdmissionReview to a JSON Patch. Everything here is pure: no I/O and no cluster."""
