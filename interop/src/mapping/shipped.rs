//! The maps that Kiln comes with, inside the binary.

use std::sync::{Arc, LazyLock};

use super::error::BadMap;
use super::pack::Pack;

macro_rules! files {
    ($($name:literal),+ $(,)?) => { &[$(($name, include_str!(concat!("../../maps/", $name)))),+] };
}

/// For delimited text: patient lists, appointments, results, immunisations, and the tables of Synthea.
pub const DELIMITED: &[(&str, &str)] = files![
    "delimited/patients.map",
    "delimited/appointments.map",
    "delimited/lab_results.map",
    "delimited/immunisations.map",
    "delimited/synthea.map",
    "delimited/codes.map",
];

/// For HL7 v2: a file for each structure of messages, segment, datatype; the code tables of the standard.
pub const HL7V2: &[(&str, &str)] = files![
    "hl7v2/types/names.map",
    "hl7v2/types/codes.map",
    "hl7v2/codes/patient.map",
    "hl7v2/segments/PID.map",
    "hl7v2/segments/PV1.map",
    "hl7v2/messages/ADT_A01.map",
    "hl7v2/types/clinical.map",
    "hl7v2/types/actors.map",
    "hl7v2/codes/results.map",
    "hl7v2/segments/OBR.map",
    "hl7v2/segments/OBX.map",
    "hl7v2/segments/SPM.map",
    "hl7v2/blocks/people.map",
    "hl7v2/blocks/orders.map",
    "hl7v2/messages/ORU_R01.map",
    "hl7v2/segments/ORC.map",
    "hl7v2/messages/orders.map",
    "hl7v2/messages/OUL.map",
    "hl7v2/codes/documents.map",
    "hl7v2/segments/TXA.map",
    "hl7v2/blocks/documents.map",
    "hl7v2/messages/MDM.map",
    "hl7v2/codes/appointments.map",
    "hl7v2/segments/SCH.map",
    "hl7v2/messages/SIU_S12.map",
    "hl7v2/codes/pharmacy.map",
    "hl7v2/segments/RXA.map",
    "hl7v2/blocks/vaccinations.map",
    "hl7v2/messages/VXU_V04.map",
    "hl7v2/segments/RX.map",
    "hl7v2/blocks/pharmacy.map",
    "hl7v2/messages/pharmacy.map",
    "hl7v2/messages/master_files.map",
    "hl7v2/blocks/answers.map",
    "hl7v2/messages/queries.map",
    "hl7v2/segments/PRB.map",
    "hl7v2/segments/PRT.map",
    "hl7v2/segments/CON.map",
    "hl7v2/segments/events.map",
    "hl7v2/messages/care.map",
    "hl7v2/types/coded.map",
    "hl7v2/types/places.map",
    "hl7v2/codes/people.map",
    "hl7v2/codes/visit.map",
    "hl7v2/codes/languages.map",
    "hl7v2/segments/NK1.map",
    "hl7v2/segments/AL1.map",
    "hl7v2/segments/DG1.map",
    "hl7v2/segments/PR1.map",
    "hl7v2/segments/IN1.map",
    "hl7v2/blocks/patient.map",
    "hl7v2/messages/billing.map",
    "hl7v2/messages/merges.map",
    "hl7v2/blocks/merges.map",
    "hl7v2/segments/FT1.map",
    "hl7v2/segments/MRG.map",
    "hl7v2/segments/ROL.map",
];

/// Messages that are made of resources, and the rows that only go this way; with the maps of [`HL7V2`].
pub const HL7V2_OUT: &[(&str, &str)] = files![
    "hl7v2-out/types.map",
    "hl7v2-out/segments.map",
    "hl7v2-out/results.map",
    "hl7v2-out/orders.map",
    "hl7v2-out/documents.map",
    "hl7v2-out/vaccinations.map",
    "hl7v2-out/appointments.map",
    "hl7v2-out/billing.map",
    "hl7v2-out/visits.map",
    "hl7v2-out/patients.map",
];

/// The pack of messages that go out, read once.
pub fn shipped_hl7v2_out() -> Result<&'static Arc<Pack>, BadMap> {
    static SHIPPED: LazyLock<Result<Arc<Pack>, BadMap>> =
        LazyLock::new(|| Pack::read(HL7V2.iter().chain(HL7V2_OUT).copied()).map(Arc::new));
    SHIPPED.as_ref().map_err(Clone::clone)
}

/// The pack of HL7 v2, read once.
pub fn shipped_hl7v2() -> Result<&'static Arc<Pack>, BadMap> {
    static SHIPPED: LazyLock<Result<Arc<Pack>, BadMap>> =
        LazyLock::new(|| Pack::read(HL7V2.iter().copied()).map(Arc::new));
    SHIPPED.as_ref().map_err(Clone::clone)
}

/// For clinical documents (C-CDA): header, sections, entries, datatypes and codes.
pub const CDA: &[(&str, &str)] = files![
    "cda/ccda.map",
    "cda/header.map",
    "cda/conditions.map",
    "cda/medications.map",
    "cda/observations.map",
    "cda/procedures.map",
    "cda/others.map",
    "cda/types.map",
    "cda/codes.map",
];

/// The pack of clinical documents, read once.
pub fn shipped_cda() -> Result<&'static Arc<Pack>, BadMap> {
    static SHIPPED: LazyLock<Result<Arc<Pack>, BadMap>> =
        LazyLock::new(|| Pack::read(CDA.iter().copied()).map(Arc::new));
    SHIPPED.as_ref().map_err(Clone::clone)
}

/// The pack of delimited text, read once.
pub fn shipped() -> Result<&'static Arc<Pack>, BadMap> {
    static SHIPPED: LazyLock<Result<Arc<Pack>, BadMap>> =
        LazyLock::new(|| Pack::read(DELIMITED.iter().copied()).map(Arc::new));
    SHIPPED.as_ref().map_err(Clone::clone)
}
