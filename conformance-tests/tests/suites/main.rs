//! Suites of others, run over the engines of `fhir-spec` and against the server; what they count stands in `RESULTS.md`.
//!
//! The material is not part of the repository: it is looked for in `$KILN_SHARED/testdata` or `../shared/testdata`, and a
//! suite that is not there is skipped with a printed line. `KILN_RECORD=1` writes the counts down.

#[cfg(test)]
mod ccda;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod fhirpath;
#[cfg(test)]
mod hl7v2;
#[cfg(test)]
mod hl7v2_out;
#[cfg(test)]
mod http_scripts;
#[cfg(test)]
mod kiln;
#[cfg(test)]
mod material;
#[cfg(test)]
mod packages;
#[cfg(test)]
mod patch;
#[cfg(test)]
mod primitives;
#[cfg(test)]
mod results;
#[cfg(test)]
mod searches;
#[cfg(test)]
mod second_opinion;
#[cfg(test)]
mod server_files;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod synthea;
#[cfg(test)]
mod testscript;
#[cfg(test)]
mod validator;
