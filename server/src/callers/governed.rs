//! What somebody was given, less what the policies of the house and the Consents of patients take away.

use std::sync::Arc;

use crate::app::App;
use crate::auth::Principal;
use crate::fault::Fault;

/// The same somebody, with the rights that are left; Consents that were given a moment ago count.
pub(super) async fn governed(
    app: &App,
    principal: Arc<Principal>,
) -> Result<Arc<Principal>, Fault> {
    app.consents.refresh(app).await?;
    Ok(held(app, principal))
}

/// The same by what is known of Consents.
pub(super) fn held(app: &App, principal: Arc<Principal>) -> Arc<Principal> {
    let named = (principal.name.as_str(), principal.fhir_user.as_deref());
    let withheld = app.consents.denied_to(named, (app.clock)());
    if withheld.is_empty() && app.policies.is_empty() {
        return principal;
    }
    let rights = principal.rights.governed(|granted| {
        app.policies.hold(named, granted);
        granted.withheld = withheld;
    });
    Arc::new(Principal {
        rights: Arc::new(rights),
        ..(*principal).clone()
    })
}
