//! Issues and the OperationOutcome that carries them: how trouble is told, everywhere in Kiln.
//! <https://hl7.org/fhir/R4/operationoutcome.html>

use crate::json::{Object, Value};

/// <https://hl7.org/fhir/R4/valueset-issue-severity.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Information,
    Warning,
    Error,
    Fatal,
}

impl Severity {
    pub fn code(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

macro_rules! issue_codes {
    ($($variant:ident $code:literal),+ $(,)?) => {
        /// <https://hl7.org/fhir/R4/valueset-issue-type.html>
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum IssueCode { $($variant),+ }

        impl IssueCode {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }
        }
    };
}

issue_codes! {
    Invalid "invalid", Structure "structure", Required "required", Value "value", Invariant "invariant",
    Security "security", Login "login", Unknown "unknown", Expired "expired", Forbidden "forbidden",
    Suppressed "suppressed", Processing "processing", NotSupported "not-supported", Duplicate "duplicate",
    MultipleMatches "multiple-matches", NotFound "not-found", Deleted "deleted", TooLong "too-long",
    CodeInvalid "code-invalid", Extension "extension", TooCostly "too-costly", BusinessRule "business-rule",
    Conflict "conflict", Transient "transient", LockError "lock-error", NoStore "no-store",
    Exception "exception", Timeout "timeout", Incomplete "incomplete", Throttled "throttled",
    Informational "informational",
}

/// One thing that is wrong, or worth saying, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    pub severity: Severity,
    pub code: IssueCode,
    /// For people: what is wrong and what was expected.
    pub diagnostics: String,
    /// A FHIRPath to the element, such as `Patient.name[0].given`.
    pub expression: Option<String>,
    /// Line and column, when the document was text.
    pub place: Option<(u32, u32)>,
}

impl Issue {
    pub fn new(severity: Severity, code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            diagnostics: diagnostics.into(),
            expression: None,
            place: None,
        }
    }

    pub fn error(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, diagnostics)
    }

    #[must_use]
    pub fn at(mut self, expression: impl Into<String>) -> Self {
        self.expression = Some(expression.into());
        self
    }

    #[must_use]
    pub fn placed(mut self, place: (u32, u32)) -> Self {
        self.place = Some(place);
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity >= Severity::Error
    }

    fn to_value(&self) -> Value {
        let mut issue = Object::new();
        if let Some((line, column)) = self.place {
            let extension = |name: &str, number: u32| {
                Value::from(Object::from_iter([
                    (
                        "url",
                        Value::from(format!(
                            "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-{name}"
                        )),
                    ),
                    ("valueInteger", Value::number(number)),
                ]))
            };
            issue.set(
                "extension",
                vec![extension("line", line), extension("col", column)],
            );
        }
        issue.set("severity", self.severity.code());
        issue.set("code", self.code.code());
        issue.set("diagnostics", self.diagnostics.as_str());
        if let Some(expression) = &self.expression {
            issue.set("expression", vec![Value::from(expression.as_str())]);
        }
        issue.into()
    }
}

/// The OperationOutcome of these issues; with none of them, the one that says all is well.
pub fn operation_outcome(issues: &[Issue]) -> Value {
    let all_well = Issue::new(
        Severity::Information,
        IssueCode::Informational,
        "No issues found",
    );
    let told = if issues.is_empty() {
        std::slice::from_ref(&all_well)
    } else {
        issues
    };
    Object::from_iter([
        ("resourceType", Value::from("OperationOutcome")),
        (
            "issue",
            told.iter().map(Issue::to_value).collect::<Vec<_>>().into(),
        ),
    ])
    .into()
}

impl From<&crate::json::Malformed> for Issue {
    fn from(malformed: &crate::json::Malformed) -> Self {
        let mut issue = Self::error(IssueCode::Structure, malformed.to_string())
            .placed((malformed.line, malformed.column));
        if !malformed.path.is_empty() {
            issue.expression = Some(malformed.path.clone());
        }
        issue
    }
}
