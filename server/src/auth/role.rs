//! Roles: what people and programs may do by what they are.

use super::{Grant, Granted, Privilege, Scope};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    pub name: &'static str,
    /// What of the resources.
    scopes: &'static [&'static str],
    privileges: &'static [Privilege],
    /// Whether what is labelled as restricted may be seen.
    clearance: bool,
    /// Whether the audit may be read.
    audits: bool,
    /// Whether, with a reason, they may see what is restricted or withheld.
    emergency: bool,
}

pub const ALL: &[Role] = &[
    Role {
        name: "admin",
        scopes: &["user/*.cruds"],
        privileges: &[
            Privilege::Submit,
            Privilege::Messages,
            Privilege::Arrange,
            Privilege::Explain,
            Privilege::Maintain,
            Privilege::Watch,
            Privilege::Introspect,
        ],
        clearance: true,
        audits: true,
        emergency: true,
    },
    Role {
        name: "clinician",
        scopes: &["user/*.cruds"],
        privileges: &[],
        clearance: false,
        audits: false,
        emergency: false,
    },
    Role {
        name: "patient",
        scopes: &["patient/*.rs"],
        privileges: &[],
        clearance: false,
        audits: false,
        emergency: false,
    },
    Role {
        name: "integrator",
        scopes: &[],
        privileges: &[
            Privilege::Submit,
            Privilege::Messages,
            Privilege::Arrange,
            Privilege::Watch,
            Privilege::Introspect,
        ],
        clearance: false,
        audits: false,
        emergency: false,
    },
    Role {
        name: "sender",
        scopes: &[],
        privileges: &[Privilege::Submit],
        clearance: false,
        audits: false,
        emergency: false,
    },
    Role {
        name: "auditor",
        scopes: &["user/AuditEvent.rs", "user/Provenance.rs"],
        privileges: &[Privilege::Watch],
        clearance: true,
        audits: true,
        emergency: false,
    },
    // Beside another role: by itself it allows nothing.
    Role {
        name: "emergency",
        scopes: &[],
        privileges: &[],
        clearance: false,
        audits: false,
        emergency: true,
    },
];

pub fn named(name: &str) -> Option<&'static Role> {
    ALL.iter().find(|role| role.name == name)
}

/// What these roles allow together, to somebody who may be a patient.
pub fn granted(roles: &[&Role], patient: Option<&str>) -> Granted {
    let mut layer = Vec::new();
    let mut granted = Granted::default();
    for role in roles {
        // A mistake in the table above would be found by the test below.
        let scopes = role
            .scopes
            .iter()
            .filter_map(|text| Scope::parse(text).ok());
        layer.extend(scopes.map(|scope| Grant {
            scope,
            patient: patient.map(str::to_owned),
        }));
        granted.privileges.extend(role.privileges);
        granted.clearance |= role.clearance;
        granted.audits |= role.audits;
        granted.emergency |= role.emergency;
        granted.roles.push(role.name);
    }
    granted.layers.push(layer);
    granted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_says_what_it_allows() {
        for role in ALL {
            assert!(role.scopes.iter().all(|scope| Scope::parse(scope).is_ok()));
            assert_eq!(named(role.name), Some(role));
        }
        assert_eq!(named("root"), None);
        let both: Vec<&Role> = ["integrator", "patient"]
            .into_iter()
            .filter_map(named)
            .collect();
        let granted = granted(&both, Some("1"));
        assert_eq!(granted.layers.len(), 1);
        assert_eq!(granted.layers[0][0].patient.as_deref(), Some("1"));
        assert!(granted.privileges.contains(&Privilege::Messages));
        assert!(!granted.clearance);
    }
}
