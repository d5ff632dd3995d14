//! What goes together in an entry: method, address, conditions and resource.
//! <https://hl7.org/fhir/R4/http.html#transaction>

use super::address::Asked;
use super::entry::{Entry, Method};
use crate::definitions::Definitions;
use crate::json::{Text, Value};
use crate::outcome::{Issue, IssueCode};
use crate::reference::{Literal, is_absolute};

/// Collects what is wrong with one entry.
pub(super) struct Checks {
    index: usize,
    pub(super) issues: Vec<Issue>,
}

impl Checks {
    pub(super) fn new(index: usize) -> Self {
        Self {
            index,
            issues: Vec::new(),
        }
    }

    pub(super) fn tell(&mut self, element: &str, code: IssueCode, told: impl Into<String>) {
        let index = self.index;
        self.issues
            .push(Issue::error(code, told).at(format!("Bundle.entry[{index}].{element}")));
    }

    /// Why there is no entry.
    pub(super) fn finish(mut self) -> Vec<Issue> {
        if self.issues.is_empty() {
            let told = "this entry cannot be understood";
            self.tell("request", IssueCode::Structure, told);
        }
        self.issues
    }

    pub(super) fn entry(&mut self, entry: &mut Entry, definitions: &Definitions) {
        self.full_url(entry, definitions);
        self.address(entry);
        self.conditions(entry);
        if entry.request.method.has_resource() {
            self.resource(entry);
        } else {
            // It means nothing here, and may be large.
            entry.resource = None;
        }
    }

    /// A full url is absolute, names no version (bdl-8), and agrees with the resource.
    fn full_url(&mut self, entry: &Entry, definitions: &Definitions) {
        let Some(url) = entry.full_url.as_deref() else {
            return;
        };
        if !is_absolute(url) || url.contains(char::is_whitespace) {
            let told = format!("a full url is absolute, `{url}` is not");
            return self.tell("fullUrl", IssueCode::Value, told);
        }
        if url.contains("/_history/") {
            let told = format!("a full url names no version, `{url}` does");
            return self.tell("fullUrl", IssueCode::Invariant, told);
        }
        let Some(Literal::Absolute { target, .. }) = Literal::parse(url) else {
            return;
        };
        let Some(resource) = &entry.resource else {
            return;
        };
        let type_name = resource.str_of("resourceType").unwrap_or_default();
        let Some(id) = resource.str_of("id") else {
            return; // what is posted has none yet
        };
        let is_target = target.resource_type == type_name && target.id == id;
        // What comes with a PATCH is not the resource that the url is about.
        if entry.request.method != Method::Patch
            && definitions.is_resource_type(target.resource_type)
            && !is_target
        {
            let told =
                format!("the full url `{url}` disagrees with its resource, {type_name}/{id}");
            self.tell("fullUrl", IssueCode::Invalid, told);
        }
    }

    fn address(&mut self, entry: &Entry) {
        let request = &entry.request;
        let method = request.method;
        let has_query = request.address.query.is_some();
        let expected = match (method, &request.address.asked) {
            (Method::Post, Asked::System) => {
                "POST goes to a type: a bundle within a bundle is not processed"
            }
            (Method::Post, Asked::Type(_)) if has_query => {
                "the criteria of a conditional create stand in `ifNoneExist`"
            }
            (Method::Post, Asked::Type(_) | Asked::Operation { .. } | Asked::Search(_)) => return,
            (Method::Post, _) => "POST goes to a type, such as Patient",
            (Method::Put | Method::Patch | Method::Delete, Asked::Instance(..)) if has_query => {
                "an address has an id or criteria, not both"
            }
            (Method::Put | Method::Patch | Method::Delete, Asked::Instance(..)) => return,
            (Method::Put | Method::Patch | Method::Delete, Asked::Type(_)) => {
                if request
                    .address
                    .criteria()
                    .is_some_and(|query| !query.is_empty())
                {
                    return;
                }
                "without an id there must be criteria, such as Patient?identifier=1"
            }
            (Method::Put | Method::Patch | Method::Delete, _) => {
                "PUT, PATCH and DELETE go to a resource, such as Patient/1, or to criteria"
            }
            (Method::Get | Method::Head, _) => return,
        };
        self.tell("request.url", IssueCode::Value, expected);
    }

    fn conditions(&mut self, entry: &mut Entry) {
        let request = &mut entry.request;
        let method = request.method;
        let writes = matches!(method, Method::Put | Method::Patch | Method::Delete);
        let reads = matches!(method, Method::Get | Method::Head);
        if request.if_match.is_some() && !writes {
            let told = "ifMatch goes with PUT, PATCH and DELETE";
            self.tell("request.ifMatch", IssueCode::Value, told);
        }
        if request.if_none_match.is_some() && !reads && method != Method::Put {
            let told = "ifNoneMatch goes with GET, HEAD and PUT";
            self.tell("request.ifNoneMatch", IssueCode::Value, told);
        }
        if request.if_modified_since.is_some() && !reads {
            let told = "ifModifiedSince goes with GET and HEAD";
            self.tell("request.ifModifiedSince", IssueCode::Value, told);
        }
        let Some(stated) = &request.if_none_exist else {
            return;
        };
        let Asked::Type(name) = &request.address.asked else {
            let told = "ifNoneExist goes with a POST to a type";
            return self.tell("request.ifNoneExist", IssueCode::Value, told);
        };
        // Only what follows `?` should stand there; some send the type too.
        let criteria = match stated.split_once('?') {
            Some((before, criteria)) if before.is_empty() || before == name => criteria,
            _ => stated,
        };
        if method != Method::Post {
            let told = "ifNoneExist goes with a POST to a type";
            self.tell("request.ifNoneExist", IssueCode::Value, told);
        } else if criteria.is_empty() {
            let told = "ifNoneExist has no criteria: expected some such as identifier=1";
            self.tell("request.ifNoneExist", IssueCode::Value, told);
        } else if criteria.len() != stated.len() {
            request.if_none_exist = Some(Text::from(criteria));
        }
    }

    fn resource(&mut self, entry: &Entry) {
        let method = entry.request.method;
        let asked = &entry.request.address.asked;
        let is_optional = matches!(asked, Asked::Operation { .. } | Asked::Search(_));
        let Some(resource) = &entry.resource else {
            if !is_optional {
                let told = format!("{} needs a resource", method.code());
                self.tell("resource", IssueCode::Required, told);
            }
            return;
        };
        let Some(type_name) = resource.str_of("resourceType") else {
            let told = "expected a resource, it has no `resourceType`";
            return self.tell("resource", IssueCode::Structure, told);
        };
        if is_optional {
            return;
        }
        if method == Method::Patch {
            if !matches!(type_name, "Binary" | "Parameters") {
                let told = format!(
                    "a PATCH has Parameters (FHIRPath Patch) or a Binary (JSON Patch, XML Patch), not a {type_name}"
                );
                self.tell("resource", IssueCode::Invalid, told);
            }
            return;
        }
        let addressed = asked.resource_type().unwrap_or_default();
        if addressed != type_name && !addressed.is_empty() {
            let told =
                format!("the address is for a {addressed}, the resource is of type {type_name}");
            return self.tell("resource", IssueCode::Invalid, told);
        }
        if let (Method::Put, Asked::Instance(_, id)) = (method, asked) {
            self.same_id(resource, id);
        }
    }

    /// <https://hl7.org/fhir/R4/http.html#update>
    fn same_id(&mut self, resource: &Value, id: &str) {
        match resource.str_of("id") {
            Some(stated) if stated == id => {}
            Some(stated) => {
                let told = format!("the resource has the id `{stated}`, its address says `{id}`");
                self.tell("resource.id", IssueCode::Invalid, told);
            }
            None => {
                let told = format!("the resource has no id, its address says `{id}`");
                self.tell("resource.id", IssueCode::Required, told);
            }
        }
    }
}
