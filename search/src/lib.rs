//! How to ask: FHIR search as values and SQL text, and the text index. Empty so far: the room is built, nobody lives in it yet.
