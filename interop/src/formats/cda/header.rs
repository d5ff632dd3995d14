//! What the header of a document says before anything is mapped: which document it is, whose, by whom, in place of which.

use std::borrow::Cow;

use super::model::Model;
use super::tree::Document;

/// An id of CDA: a root alone, or a number within it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentId {
    pub root: String,
    pub extension: String,
}

/// What is not said is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    pub id: DocumentId,
    /// What the versions of a document have in common.
    pub set: DocumentId,
    pub version: String,
    /// LOINC, for all that anybody sends.
    pub code: String,
    /// `effectiveTime` as it stands there.
    pub time: String,
    /// The names of those who keep it, and of the program or person that wrote it.
    pub custodian: String,
    pub author: String,
    pub patients: Vec<DocumentId>,
    pub visits: Vec<DocumentId>,
    pub orders: Vec<DocumentId>,
}

impl Header {
    pub fn of(document: &Document<'_>) -> Self {
        let reader = Reader {
            document,
            model: Model::get(),
        };
        let of_root = |name: &str| reader.first(0, &[name]);
        let ids = |path: &[&str]| -> Vec<DocumentId> {
            let all = reader.all(0, path).into_iter();
            all.map(|at| reader.id(at))
                .filter(|id| *id != DocumentId::default())
                .collect()
        };
        let custodian = [
            "custodian",
            "assignedCustodian",
            "representedCustodianOrganization",
            "name",
        ];
        let program = [
            "author",
            "assignedAuthor",
            "assignedAuthoringDevice",
            "softwareName",
        ];
        let person = ["author", "assignedAuthor", "assignedPerson", "name"];
        let author = reader.text(&program).or_else(|| reader.text(&person));
        Self {
            id: of_root("id").map(|at| reader.id(at)).unwrap_or_default(),
            set: of_root("setId").map(|at| reader.id(at)).unwrap_or_default(),
            version: reader.attribute(of_root("versionNumber"), "value"),
            code: reader.attribute(of_root("code"), "code"),
            time: reader.attribute(of_root("effectiveTime"), "value"),
            custodian: reader.text(&custodian).unwrap_or_default(),
            author: author.unwrap_or_default(),
            patients: ids(&["recordTarget", "patientRole", "id"]),
            visits: ids(&["componentOf", "encompassingEncounter", "id"]),
            orders: ids(&["inFulfillmentOf", "order", "id"]),
        }
    }
}

struct Reader<'d> {
    document: &'d Document<'d>,
    model: &'static Model,
}

impl Reader<'_> {
    fn all(&self, from: u32, path: &[&str]) -> Vec<u32> {
        let mut here = vec![from];
        for name in path {
            let name = self.model.name(name);
            let below = here
                .iter()
                .flat_map(|at| self.document.children(*at))
                .filter(|child| {
                    let element = self.document.element(*child);
                    element.is_some_and(|element| element.name == name)
                });
            here = below.collect();
        }
        here
    }

    fn first(&self, from: u32, path: &[&str]) -> Option<u32> {
        self.all(from, path).into_iter().next()
    }

    fn attribute(&self, of: Option<u32>, name: &str) -> String {
        let value = of.and_then(|at| self.document.value_of(at, self.model.name(name)));
        value.map_or_else(String::new, |value| value.trim().to_owned())
    }

    fn id(&self, at: u32) -> DocumentId {
        DocumentId {
            root: self.attribute(Some(at), "root"),
            extension: self.attribute(Some(at), "extension"),
        }
    }

    /// What stands at the end of a path, the parts of a name one after another.
    fn text(&self, path: &[&str]) -> Option<String> {
        let at = self.first(0, path)?;
        let own = self.document.own_text(at);
        let parts = self.document.children(at);
        let parts = parts.map(|part| self.document.own_text(part));
        let all: Vec<Cow<'_, str>> = std::iter::once(own).chain(parts).collect();
        let words: Vec<&str> = all
            .iter()
            .flat_map(|text| text.split_whitespace())
            .collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_what_about_whom() {
        let text = "<ClinicalDocument xmlns='urn:hl7-org:v3'><id root='1.2' extension=' d1 '/><code code='34133-9'/>\
            <effectiveTime value='20260102'/><setId root='1.3'/><versionNumber value='2'/>\
            <recordTarget><patientRole><id root='1' extension='A'/><id nullFlavor='UNK'/><id root='2' extension='B'/></patientRole></recordTarget>\
            <author><assignedAuthor><assignedPerson><name><given>Ann</given> <family>Lee</family></name></assignedPerson></assignedAuthor></author>\
            <custodian><assignedCustodian><representedCustodianOrganization><name>Good  Health</name></representedCustodianOrganization></assignedCustodian></custodian>\
            <componentOf><encompassingEncounter><id root='9' extension='V'/></encompassingEncounter></componentOf></ClinicalDocument>";
        let document = Document::read(text).unwrap();
        let header = Header::of(&document);
        let body = "<component><structuredBody/></component></ClinicalDocument>";
        let whole = text.replace("</ClinicalDocument>", body);
        let without_body = Document::read_header(&whole).unwrap();
        assert_eq!(Header::of(&without_body), header);
        assert_eq!(without_body.element_count(), document.element_count());
        assert!(Document::read_header(&whole.replace("<structuredBody/>", "<a></b>")).is_err());
        assert_eq!((&*header.id.root, &*header.id.extension), ("1.2", "d1"));
        assert_eq!((&*header.set.root, &*header.version), ("1.3", "2"));
        assert_eq!(
            (&*header.author, &*header.custodian),
            ("Ann Lee", "Good Health")
        );
        assert_eq!((header.patients.len(), header.visits.len()), (2, 1));
        assert_eq!((&*header.code, &*header.time), ("34133-9", "20260102"));
        let nothing = Document::read("<ClinicalDocument xmlns='urn:hl7-org:v3'/>").unwrap();
        assert_eq!(Header::of(&nothing), Header::default());
    }
}
