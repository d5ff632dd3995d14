//! How to ask: FHIR search as values and SQL text, and the text index.
