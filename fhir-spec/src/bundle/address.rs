//! What `Bundle.entry.request.url` is addressed to. <https://hl7.org/fhir/R4/http.html#summary>

use crate::definitions::Definitions;
use crate::json::Text;
use crate::reference::is_id;

/// A url below the base, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub asked: Asked,
    /// What stands after `?`, as it is written.
    pub query: Option<Text>,
}

/// The path of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Nothing: the whole system.
    System,
    Type(Text),
    Instance(Text, Text),
    /// `Type/id/_history/version`
    Version(Text, Text, Text),
    /// `_history`, `Type/_history` or `Type/id/_history`
    History(Option<Text>, Option<Text>),
    /// `[Type[/id]/]$code`: the code comes without its `$`.
    Operation {
        resource_type: Option<Text>,
        id: Option<Text>,
        code: Text,
    },
    /// `Type/id/Type` or `Type/id/*`: a search within a compartment.
    Compartment(Text, Text, Text),
    /// `[Type/]_search`
    Search(Option<Text>),
    Metadata,
}

impl Asked {
    /// The resource type that it names first.
    pub fn resource_type(&self) -> Option<&str> {
        match self {
            Self::Type(name)
            | Self::Instance(name, _)
            | Self::Version(name, _, _)
            | Self::Compartment(name, _, _) => Some(name),
            Self::History(name, _) | Self::Search(name) => name.as_deref(),
            Self::Operation { resource_type, .. } => resource_type.as_deref(),
            Self::System | Self::Metadata => None,
        }
    }
}

impl Address {
    /// The error says what is wrong with the url. `base` is where the server is: a url below it is as good as a relative one.
    pub(super) fn parse(url: &str, base: &str, definitions: &Definitions) -> Result<Self, String> {
        let relative = match url.strip_prefix(base) {
            Some(rest) if !base.is_empty() && (rest.is_empty() || rest.starts_with(['/', '?'])) => {
                rest
            }
            _ => url,
        };
        if relative.contains('#') {
            return Err(format!("`{url}` has a fragment, a request has none"));
        }
        if relative.contains(char::is_whitespace) {
            return Err(format!("`{url}` has white space"));
        }
        if super::links::is_urn(relative) || relative.contains("://") && !relative.contains('?') {
            return Err(format!(
                "`{url}` is no address on this server: expected one such as Patient or Patient/1"
            ));
        }
        let (path, query) = match relative.split_once('?') {
            Some((path, query)) => (path, Some(Text::from(query))),
            None => (relative, None),
        };
        let path = path.strip_prefix('/').unwrap_or(path);
        let asked = Asked::parse(path, definitions)?;
        Ok(Self { asked, query })
    }

    /// What stands after `?`, escaped.
    pub fn query(&self) -> &str {
        self.query.as_deref().unwrap_or_default()
    }

    /// The criteria of a conditional interaction: `Type?criteria`.
    pub fn criteria(&self) -> Option<&str> {
        match self.asked {
            Asked::Type(_) => self.query.as_deref(),
            _ => None,
        }
    }
}

impl Asked {
    fn parse(path: &str, definitions: &Definitions) -> Result<Self, String> {
        let segments: Vec<&str> = path.splitn(5, '/').collect();
        let asked = match *segments.as_slice() {
            [""] => Self::System,
            ["metadata"] => Self::Metadata,
            ["_history"] => Self::History(None, None),
            ["_search"] => Self::Search(None),
            [code] if code.starts_with('$') => operation(None, None, code),
            [name] => Self::Type(name.into()),
            [name, "_history"] => Self::History(Some(name.into()), None),
            [name, "_search"] => Self::Search(Some(name.into())),
            [name, code] if code.starts_with('$') => operation(Some(name), None, code),
            [name, id] => Self::Instance(name.into(), id.into()),
            [name, id, "_history"] => Self::History(Some(name.into()), Some(id.into())),
            [name, id, code] if code.starts_with('$') => operation(Some(name), Some(id), code),
            [name, id, inner] => Self::Compartment(name.into(), id.into(), inner.into()),
            [name, id, "_history", version] => {
                Self::Version(name.into(), id.into(), version.into())
            }
            _ => return Err(format!("`{path}` is not an address of FHIR's")),
        };
        asked.check(definitions)?;
        Ok(asked)
    }

    fn check(&self, definitions: &Definitions) -> Result<(), String> {
        let is_type = |name: &str| match definitions.is_resource_type(name) {
            true => Ok(()),
            false => Err(format!("`{name}` is not a resource type of FHIR R4")),
        };
        if let Some(name) = self.resource_type() {
            is_type(name)?;
        }
        let (id, version) = match self {
            Self::Instance(_, id) | Self::History(_, Some(id)) => (Some(id), None),
            Self::Operation { id, .. } => (id.as_ref(), None),
            Self::Version(_, id, version) => (Some(id), Some(version)),
            Self::Compartment(_, id, inner) => {
                if inner != "*" {
                    is_type(inner)?;
                }
                (Some(id), None)
            }
            _ => (None, None),
        };
        match [id, version].into_iter().flatten().find(|id| !is_id(id)) {
            Some(wrong) => Err(format!(
                "`{wrong}` is no id: 1 to 64 letters, digits, - or ."
            )),
            None => Ok(()),
        }
    }
}

fn operation(resource_type: Option<&str>, id: Option<&str>, code: &str) -> Asked {
    Asked::Operation {
        resource_type: resource_type.map(Into::into),
        id: id.map(Into::into),
        code: code.strip_prefix('$').unwrap_or(code).into(),
    }
}
